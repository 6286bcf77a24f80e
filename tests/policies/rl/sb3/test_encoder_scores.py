"""The encoder's own scores in an actor: exact, scaled, of no effect where they say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from policies import ENCODERS, build, collect, consumed_sequences, observation_of
from policies.observation import observation_of_log
from policies.rl.sb3.agent import SB3Agent
from tests.factories import make_env


@pytest.fixture(scope="module")
def log() -> Any:
    env = make_env()
    return collect(env, build("uniform", env), n_sessions=200, seed=0)


def agent_over(encoder: Any, log: Any, name: str = "ppo", **settings: Any) -> Any:
    agent = build(name, make_env(), encoder=encoder, **settings)
    assert isinstance(agent, SB3Agent)
    agent.update(log)
    agent.model = agent.new_model(agent.placeholder_env(16))
    return agent


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gru4rec", {}),
        ("average", {}),
        ("markov", {}),
        ("gru4rec", {"end_to_end": 4}),
        ("gru4rec", {"fine_tune": 0.1}),
    ],
)
def test_an_actor_that_has_learnt_nothing_ranks_by_the_encoders_scores(
    name: str, settings: dict[str, Any], log: Any
) -> None:
    """With the learnt part of the query at 0, logits are (h - mean h) . v_a over one deviation;
    a fine-tuned encoder's h has no centre."""
    sizes = {} if name == "markov" else {"dim": 8, "length": 5, "epochs": 2}
    encoder: Any = ENCODERS[name](**sizes).fit(consumed_sequences(log))
    agent = agent_over(encoder, log, **settings)
    policy = agent.model.policy
    torch.nn.init.zeros_(policy.action_net.weight)
    torch.nn.init.zeros_(policy.action_net.bias)
    logged = encoder.encode(observation_of_log(log, agent.serving).history_items)
    v = encoder.item_vectors - encoder.item_vectors.mean(axis=0)
    spread = ((logged - logged.mean(axis=0)) @ v.T).std()

    env = make_env()
    env.reset(seed=1)
    for _ in range(4):
        raw = env.step(np.tile([0, 1], (16, 1)))[0]
    obs = observation_of(raw)
    assert obs.candidates is not None
    h = encoder.encode(obs.history_items)
    if not settings.get("fine_tune"):
        h = h - logged.mean(axis=0)
    scores = np.take_along_axis(h @ v.T, obs.candidates, axis=1) / spread
    logits = agent.distribution(obs).logits

    def centred(x: Any) -> Any:
        return x - x.mean(axis=1, keepdims=True)

    assert np.abs(centred(scores)).max() > 0.5
    np.testing.assert_allclose(centred(logits), centred(scores), rtol=1e-3, atol=1e-3)


def test_the_gate_learns(log: Any) -> None:
    encoder = ENCODERS["gru4rec"](dim=8, length=5, epochs=1).fit(consumed_sequences(log))
    agent: Any = build("ppo", make_env(), encoder=encoder)
    agent.learn(make_env(), total_steps=1024, seed=0)
    gate = agent.model.policy.encoder_scores.gate
    assert 0 < abs(float(gate.bias.detach()) - 1) < 0.1
    assert float(gate.weight.detach().abs().max()) > 0


@pytest.mark.parametrize("encoder", [None, "popularity"])
def test_an_encoder_that_tells_no_user_from_another_adds_nothing(encoder: Any, log: Any) -> None:
    fitted = None if encoder is None else ENCODERS[encoder]().fit(consumed_sequences(log))
    agent = agent_over(fitted, log, "a2c")
    assert not agent.encoder_scores.any()
    assert (agent.model.policy.encoder_scores is None) == (encoder is None)
