"""User models whose laws are known in closed form."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from recsim_env.users.retention import days_away


def test_days_away_are_geometric_on_one_to_ten() -> None:
    p = 0.3
    grid = (np.arange(100_000) + 0.5) / 100_000
    share = np.bincount([days_away(p, u) for u in grid], minlength=11)[1:] / len(grid)
    law = p * (1 - p) ** np.arange(10)
    assert share == pytest.approx(law / law.sum(), abs=2e-5)


def test_a_curriculum_teaches_nothing_whose_foundation_is_missing() -> None:
    env = gymnasium.make_vec(
        "recsim_env/Curriculum-v0", num_envs=200, blocked=0.0, known_at_start=0.0, n_candidates=None
    )
    env.reset(seed=0)
    leaf = np.full(200, env.unwrapped.n_items - 1)
    rewards = [env.step(leaf)[1] for _ in range(30)]
    assert np.sum(rewards) == 0
    env.reset(seed=0)
    root = np.zeros(200, int)
    learned = [env.step(root)[1] for _ in range(30)]
    assert np.count_nonzero(learned) == pytest.approx(200, abs=5)


def test_a_funnel_moves_at_its_hazard() -> None:
    env = gymnasium.make_vec(
        "recsim_env/Funnel-v0", num_envs=20_000, taste=0.0, no_click=-50.0, leave_busy=0.0
    )
    obs, _ = env.reset(seed=0)
    role = obs["candidate_features"][:, :, -4:].argmax(2)
    action = np.argsort(role != 0, axis=1, kind="stable")[:, :3]  # items made for the first stage
    useful = (np.take_along_axis(role, action, axis=1) == 0).all(1)
    obs, *_ = env.step(action)
    moved = obs["user"][useful, 1].mean()
    assert moved == pytest.approx(1 / (1 + np.exp(1.0)), abs=0.012)  # sigmoid(-3 + 2)


def test_ads_above_the_cap_are_not_clicked() -> None:
    env = gymnasium.make_vec("recsim_env/AdSlots-v0", num_envs=300, cap=0.0, n_candidates=None)
    env.reset(seed=0)
    assert env.step(np.tile([0, 1, 2, 3], (300, 1)))[1].sum() == 0
