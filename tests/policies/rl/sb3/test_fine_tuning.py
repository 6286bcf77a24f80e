"""An encoder that goes on learning: it begins as it was fitted, moves slowly, and is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies import ENCODERS, build, collect, consumed_sequences, load, observation_of, save
from policies.rl.sb3.agent import SB3Agent
from policies.rl.sb3.extractors import FineTunedExtractor, SlowGroupAdam
from tests.factories import make_env


@pytest.fixture(scope="module", params=["gru4rec", "sasrec"])
def encoder(request: pytest.FixtureRequest) -> Any:
    env = make_env()
    log = collect(env, build("uniform", env), n_sessions=60, seed=0)
    return ENCODERS[request.param](dim=8, length=5, epochs=1).fit(consumed_sequences(log))


def extractor(agent: Any) -> Any:
    return agent.model.policy.features_extractor


def test_it_begins_as_it_was_fitted(encoder: Any) -> None:
    env = make_env()
    agent: Any = build("ppo", env, encoder=encoder, fine_tune=0.1)
    agent.update(collect(env, build("uniform", env), n_steps=4, seed=1))
    agent.model = agent.new_model(agent.placeholder_env(16))
    ids = np.array([[-1, -1, 3, 4, 5], [-1] * 5, [1, 2, 3, 2, 1]], np.int32)
    with torch.no_grad():
        state = extractor(agent).encoded(torch.from_numpy(ids).long())
    np.testing.assert_allclose(state.numpy(), encoder.encode(ids), atol=1e-5)


def test_it_learns_with_the_agent_is_kept_and_leaves_the_fitted_one_alone(
    encoder: Any, tmp_path: Path
) -> None:
    env = make_env()
    before = encoder.item_vectors.copy()
    agent: Any = build("ppo", env, encoder=encoder, fine_tune=0.1)
    agent.learn(env, total_steps=512, seed=0)
    assert isinstance(extractor(agent), FineTunedExtractor)
    moved = np.abs(extractor(agent).net.table.detach().numpy() - before).max()
    assert 0 < moved < 1e-3, "four updates of at most a tenth of the rate .001, and Adam's excess"
    np.testing.assert_array_equal(encoder.item_vectors, before)
    seen = observation_of(env.reset(seed=4)[0])
    save(agent, tmp_path / "it")
    back = load(tmp_path / "it")
    assert isinstance(back, SB3Agent)
    np.testing.assert_array_equal(
        back.distribution(seen).first_place(), agent.distribution(seen).first_place()
    )


def test_slow_parameters_go_a_share_of_adams_way() -> None:
    torch.manual_seed(0)
    net, plain = (torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)) for _ in "ab")
    plain.load_state_dict(net.state_dict())
    start = [p.detach().clone() for p in net.parameters()]
    two = SlowGroupAdam(net, net[0], 0.25, 0.1)
    one = torch.optim.Adam(plain.parameters(), lr=0.1, eps=1e-5)
    for model, adam in ((net, two), (plain, one)):
        model(torch.ones(2, 3)).sum().backward()
        adam.step()
    for n, (mine, full, old) in enumerate(
        zip(net.parameters(), plain.parameters(), start, strict=True)
    ):
        share = 0.25 if n < 2 else 1.0
        torch.testing.assert_close(mine - old, share * (full - old))


def test_what_cannot_be_fine_tuned_is_refused() -> None:
    with pytest.raises(ValueError, match="fine_tune needs encoder= to be a network"):
        build("ppo", make_env(), fine_tune=0.1)


def test_the_old_names_of_settings_still_work(encoder: Any) -> None:
    with pytest.warns(DeprecationWarning, match="setting tune is called fine_tune now"):
        agent: Any = build("ppo", make_env(), encoder=encoder, tune=0.1)
    assert agent.config.fine_tune == 0.1
    with pytest.warns(DeprecationWarning, match="setting tracker is called end_to_end now"):
        agent = build("ppo", make_env(), tracker=3)
    assert agent.config.end_to_end == 3
