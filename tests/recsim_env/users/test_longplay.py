"""Longplay's switches: each does what its constant says, and the default world knows none."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env
from recsim_env.users.longplay_world import COHORTS

SWITCHES: dict[str, dict[str, Any]] = {
    "days": {"days": 14.0},
    "cohorts": {"cohorts": True},
    "newcomers": {"newcomers": 0.5},
    "churn": {"churn": 0.5},
    "noisy quality": {"quality_noise": 0.3},
    "wander": {"wander": 0.02},
}


def made(n: int, **settings: Any) -> recsim_env.RecVectorEnv:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=n, **settings)
    assert isinstance(env, recsim_env.RecVectorEnv)
    return env


def test_every_switch_together_passes_the_checks() -> None:
    settings = {k: v for one in SWITCHES.values() for k, v in one.items()}
    recsim_env.check_vector_env(made(5, **settings, max_steps=30))


def test_the_return_law_is_the_truncated_geometric() -> None:
    # nobody is ever pleased or displeased, so the daily chance is the base alone
    env = made(
        4000, days=1000.0, return_habit=0.0, return_base=0.3, return_pull=0.0, leave_base=50.0
    )
    env.reset(seed=0)
    obs, *_ = env.step(np.tile([0, 1, 2], (4000, 1)))
    gaps = obs["user"][:, env.user_names.index("days_away")].astype(int)
    law = 0.3 * 0.7 ** np.arange(10)
    share = np.bincount(gaps, minlength=11)[1:] / 4000
    law /= law.sum()
    assert np.all(np.abs(share - law) < 4 * np.sqrt(law * (1 - law) / 4000))


def test_episodes_end_on_their_last_day_and_satisfied_users_come_back_sooner() -> None:
    env = made(500, days=10.0)
    obs, _ = env.reset(seed=0)
    day = env.user_names.index("day")
    for _ in range(60):
        obs, _, ended, _, infos = env.step(env.action_space.sample())
        assert np.all(obs["user"][~ended, day] < 10)
        assert all(infos["final_obs"][i]["user"][day] >= 10 for i in np.flatnonzero(ended))


def test_cohorts_come_in_their_shares_and_are_observed() -> None:
    env = made(6000, cohorts=True)
    obs, _ = env.reset(seed=0)
    first = env.user_names.index("casual")
    seen = obs["user"][:, first : first + 3]
    assert np.all(seen.sum(1) == 1)
    share = np.array([row[0] for row in COHORTS.values()])
    assert np.all(np.abs(seen.mean(0) - share) < 4 * np.sqrt(share * (1 - share) / 6000))
    minutes = env.live.users["budget"][seen[:, 2] == 1]
    assert np.all(minutes == 240)


def test_newcomers_choose_less_by_preference_until_they_have_consumed() -> None:
    env = made(200, newcomers=1.0, no_choice=-50.0, leave_base=-50.0)
    env.reset(seed=0)
    for n in range(4):
        assert env.live.users["keen"] == pytest.approx(1 - 0.6 * 0.9**n)
        env.step(env.action_space.sample())


def test_churning_items_are_not_offered_outside_their_windows() -> None:
    env = made(50, churn=0.6, item_life=5)
    obs, _ = env.reset(seed=0)
    since, until = env.catalogue.windows
    for tick in range(12):
        shown = obs["candidates"]
        assert np.all((since[shown] <= tick) & (tick < until[shown]))
        obs, *_ = env.step(env.action_space.sample())


def test_observed_quality_is_the_items_own_with_noise_of_the_given_size() -> None:
    settings = {"no_choice": -50.0, "leave_base": -50.0}
    noisy, plain = made(2000, quality_noise=0.3, **settings), made(2000, **settings)
    action = np.tile(np.arange(3), (2000, 1))
    seen = []
    for env in (noisy, plain):
        env.reset(seed=0)
        obs, *_ = env.step(action)
        seen.append((obs["history_items"][:, -1], obs["history_responses"][:, -1, 2]))
    np.testing.assert_array_equal(seen[0][0], seen[1][0])  # the same users take the same items
    error = seen[0][1] - seen[1][1]
    assert abs(error.mean()) < 4 * 0.3 / 2000**0.5
    assert error.std() == pytest.approx(0.3, rel=0.07)  # four standard errors


def test_interests_wander_where_nothing_is_taken() -> None:
    # unit(u + .02 e) in 16 dimensions: the cosine to u is 1 - 15/2 (.02)^2 = .9970 on average
    env = made(1000, wander=0.02, no_choice=50.0, leave_base=-50.0)
    env.reset(seed=0)
    before = env.live.users["interest"].copy()
    env.step(env.action_space.sample())
    cosine = (env.live.users["interest"] * before).sum(axis=1)
    assert cosine.mean() == pytest.approx(0.9970, abs=0.0003)
