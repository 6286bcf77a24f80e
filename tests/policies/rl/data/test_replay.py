"""The ring of decisions, and decisions as a world hands them over."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from policies.features import state_features
from policies.observation import observation_of, serving_of
from policies.rl.data.collector import Collector
from policies.rl.data.replay import Replay, Transitions, place_of
from tests.factories import make_env


def transitions(first: int, n: int) -> Transitions:
    mark = np.arange(first, first + n, dtype=np.float32)
    ids = np.tile(mark[:, None].astype(np.int32), (1, 2))
    return Transitions(mark[:, None], ids, np.zeros(n, np.int32), mark, mark, mark[:, None], ids)


def test_the_ring_holds_the_last_decisions_and_draws_whole_rows() -> None:
    ring = Replay(5)
    ring.add(transitions(0, 3))
    ring.add(transitions(3, 4))  # over the oldest two
    batch = ring.draw(400, np.random.default_rng(0))
    assert set(batch.reward.tolist()) == {2.0, 3.0, 4.0, 5.0, 6.0}
    for column in (batch.state[:, 0], batch.slate[:, 1], batch.next_state[:, 0]):
        np.testing.assert_array_equal(column.numpy(), batch.reward.numpy())


def test_an_empty_ring_says_so() -> None:
    with pytest.raises(ValueError, match="empty"):
        Replay(5).draw(1, np.random.default_rng(0))


def test_place_of_the_item_taken() -> None:
    slate = np.array([[4, 7], [7, 4], [4, -1]], np.int32)
    assert place_of(slate, np.array([7, 7, -1], np.int32)).tolist() == [1, 0, 2]


def test_decisions_follow_each_other_within_a_session_and_not_across() -> None:
    env = make_env(max_steps=3)
    world = Collector(env, state_features(serving_of(env), None), reward_scale=2.0, seed=1)
    action = np.tile(np.array([3, 1]), (16, 1))
    steps = [world.step(action) for _ in range(4)]
    for before, after in pairwise(steps[:3]):
        stayed = before.alive == 1
        np.testing.assert_array_equal(before.next_state[stayed], after.state[stayed])
        np.testing.assert_array_equal(before.next_items[stayed][:, [3, 1]], after.slate[stayed])
    clock = serving_of(env).user_size - 3  # the session's sums end the user vector: steps first
    cut = steps[2].next_state[:, clock] == 3
    assert cut.any()
    assert (steps[3].state[cut, clock] == 0).all()


def test_rewards_are_scaled_and_only_leaving_ends_the_future() -> None:
    env, twin = make_env(max_steps=2), make_env(max_steps=2)
    world = Collector(env, state_features(serving_of(env), None), reward_scale=4.0, seed=1)
    twin.reset(seed=1)
    action = np.tile(np.array([0, 5]), (16, 1))
    for _ in range(3):
        got = world.step(action)
        obs, reward, terminated, _, info = twin.step(action)
        np.testing.assert_allclose(got.reward, reward / 4.0, rtol=1e-6)
        np.testing.assert_array_equal(got.alive == 0, terminated)
        taken = np.where(
            got.place < 2,
            np.take_along_axis(got.slate, np.minimum(got.place, 1)[:, None], 1)[:, 0],
            -1,
        )
        np.testing.assert_array_equal(taken, info["consumed"])
        np.testing.assert_array_equal(world.now.items, observation_of(obs).candidates)
