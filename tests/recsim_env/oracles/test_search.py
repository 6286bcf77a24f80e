"""Rollout search: better than its base where that is poor, and blind to the user's own luck."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from recsim_env import planning_oracle
from recsim_env.oracles import oracle
from recsim_env.oracles.search import SearchConfig, played_on, rollout_search, same_world


@pytest.mark.slow
def test_search_over_greedy_finds_that_planning_pays() -> None:
    env = gymnasium.make_vec("recsim_env/InterestEvolution-v0", num_envs=60)
    config = SearchConfig(base=oracle.greedy_oracle, proposals=(oracle.topic_quality,), rollouts=4)
    found = oracle.session_returns(env, rollout_search(config), seed=3).total
    greedy = oracle.session_returns(env, oracle.greedy_oracle, seed=3).total
    gain = found - greedy
    assert gain.mean() > 3 * gain.std() / 60**0.5


def test_rollouts_leave_the_users_as_they_were_and_do_not_use_their_luck() -> None:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=5)
    obs, _ = env.reset(seed=1)
    before = env.unwrapped.live.users.copy()
    config = SearchConfig(rollouts=200, depth=1)
    slate = oracle.greedy_oracle(env, obs, np.random.default_rng(0))
    got = played_on(env.unwrapped, same_world(env.unwrapped, 1000), slate, config, luck=7)
    assert np.array_equal(before, env.unwrapped.live.users)
    # the mean over fresh luck is the expectation of the first step
    error = got.std(1) / 200**0.5
    assert np.all(np.abs(got.mean(1) - oracle.slate_reward(env, slate)) < 4 * error)


def test_the_twin_keeps_the_worlds_calendar() -> None:
    core = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=2, churn=0.5, session_ticks=7)
    assert same_world(core.unwrapped, 4).engine.offer.session_ticks == 7


def test_the_planner_is_exact_where_it_can_be() -> None:
    env = gymnasium.make_vec("recsim_env/Curriculum-v0", num_envs=8, max_steps=2)
    assert planning_oracle(env).__qualname__.startswith("exact_plan")
    many = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=2)
    assert planning_oracle(many).__qualname__.startswith("rollout_search")
