"""The best static ranking: one order of the items for everybody, found with the world known."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from recsim_env.oracles.oracle import random_slates, session_returns
from recsim_env.oracles.static import (
    StaticConfig,
    best_static_ranking,
    item_columns,
    static_ranking,
)

SIZES = {"n_items": 30, "slate_size": 2, "n_candidates": 6}


def test_scores_far_apart_are_a_fixed_order_and_equal_ones_are_uniform() -> None:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=400, **SIZES)
    obs, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    score = 1000.0 * rng.permutation(30)
    slate = static_ranking(score)(env, obs, rng)
    offered = env.unwrapped.live_choices()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(slate, np.argsort(-score[offered], axis=1)[:, :2])
    first = static_ranking(np.zeros(30))(env, obs, rng)[:, 0]
    count = np.bincount(first, minlength=6)
    assert ((count - 400 / 6) ** 2 / (400 / 6)).sum() < 20.5  # chi-square, 5 degrees, 1 in 1,000


def test_the_search_finds_what_the_catalogue_says_is_worth_showing() -> None:
    # preferences, boredom and drift weigh nothing: minutes and leaving depend on the item alone
    alike = {
        "no_choice": 0.0,
        "taste": 0.0,
        "watch_taste": 0.0,
        "dull": 0.0,
        "watch_dull": 0.0,
        "leave_boredom": 0.0,
    }
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=240, max_steps=20, **SIZES, **alike)
    config = StaticConfig(population=24, elite=6, generations=6)
    score = best_static_ranking(env, config)
    test = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=600, max_steps=20, **SIZES, **alike
    )
    found = session_returns(test, static_ranking(score), seed=9).total
    plain = session_returns(test, random_slates, seed=9).total
    gain = found - plain
    assert gain.mean() > 4 * gain.std() / 600**0.5
    again = best_static_ranking(env, config)
    np.testing.assert_array_equal(again, score)


def test_small_catalogues_have_a_number_for_each_item_and_searches_need_users() -> None:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=4, **SIZES)
    np.testing.assert_array_equal(item_columns(env.unwrapped.catalogue), np.eye(30))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="4 users for 48 rankings"):
        best_static_ranking(env)
    with pytest.raises(ValueError, match="elite"):
        StaticConfig(elite=1)
