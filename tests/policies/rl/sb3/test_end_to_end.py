"""The encoder that learns with its agent: what it reads, and that its weights move and are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from policies import build, load, observation_of, save
from policies.features import state_features
from policies.observation import serving_of
from policies.rl.sb3.extractors import HistoryGRU
from tests.factories import env_of

make_env = env_of(num_envs=32)


def test_the_trail_leads_the_state_as_ids() -> None:
    env = make_env()
    env.reset(seed=1)
    for _ in range(3):
        obs, *_ = env.step(np.tile([0, 1], (32, 1)))
    seen = observation_of(obs)
    plain = state_features(serving_of(env), None)
    trailed = state_features(serving_of(env), None, trail=3)
    assert trailed.size == plain.size + 3
    np.testing.assert_array_equal(trailed(seen)[:, :3], seen.history_items[:, -3:])
    np.testing.assert_array_equal(trailed(seen)[:, 3:], plain(seen))


def test_it_is_a_gru_over_its_own_embedding_and_leaves_the_rest() -> None:
    torch.manual_seed(0)
    gru = HistoryGRU(9, 3, 4)
    state = torch.tensor([[-1.0, 2.0, 8.0, 0.5, -0.5]])
    out = gru(state)
    assert out.shape == (1, 6)
    assert out[0, 4:].tolist() == [0.5, -0.5]
    hidden = torch.zeros(1, 1, 4)
    for item in (-1, 2, 8):
        _, hidden = gru.cell(gru.items(torch.tensor([[item + 1]])), hidden)
    torch.testing.assert_close(out[0, :4], hidden[0, 0])
    assert (gru.items(torch.tensor([0])) == 0).all()


def test_ppo_trains_it_and_keeps_it(tmp_path: Path) -> None:
    env = make_env()
    agent: Any = build("ppo", env, end_to_end=8)
    agent.learn(env, total_steps=1, seed=0)
    weight = agent.model.policy.features_extractor.gru.cell.weight_ih_l0
    before = weight.detach().clone()
    agent.learn(env, total_steps=2048, seed=1)
    assert (weight.detach() - before).abs().max() > 1e-3
    seen = observation_of(env.reset(seed=2)[0])
    save(agent, tmp_path / "it")
    back = load(tmp_path / "it", serving=serving_of(env))
    np.testing.assert_array_equal(
        back.distribution(seen).first_place(), agent.distribution(seen).first_place()
    )
