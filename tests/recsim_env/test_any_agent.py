"""Agents that know nothing of slates: what they sample or predict is served, wrapped or not."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import NormalizeReward, RecordEpisodeStatistics

import recsim_env
from recsim_env import Catalogue
from recsim_env.catalogue import NEVER
from recsim_env.spaces import ItemSpace

WORLD = "recsim_env/Longplay-v0"


def ruled() -> Catalogue:
    plain = Catalogue.of(np.arange(8) % 3, n_topics=20, vectors=np.eye(8, 16))
    return plain.with_windows(np.zeros(8, int), np.array([NEVER] * 5 + [1, 2, 3]))


@pytest.mark.parametrize("name", recsim_env.USERS)
def test_every_action_of_the_space_is_served(name: str) -> None:
    """The action that repeats most is in the space, and a step takes it."""
    env = gymnasium.make(f"recsim_env/{name}-v0")
    action = np.zeros(env.action_space.shape, int)
    env.reset(seed=0)
    assert env.action_space.contains(action)
    info = env.step(action)[4]
    assert info["invalid"] is (action.size > 1)


def test_repeats_get_the_first_choices_left_from_the_top() -> None:
    env, clone = (gymnasium.make_vec(WORLD, num_envs=3, slate_size=4) for _ in range(2))
    env.reset(seed=0), clone.reset(seed=0)
    got = env.step(np.array([[0, 0, 0, 0], [7, 7, 0, 7], [3, 2, 1, 0]]))
    right = clone.step(np.array([[0, 1, 2, 3], [7, 0, 1, 2], [3, 2, 1, 0]]))
    assert got[4]["invalid"].tolist() == [True, True, False]
    assert not right[4]["invalid"].any()
    for one, other in zip(got[:4], right[:4], strict=True):
        np.testing.assert_equal(one, other)


def test_space_and_step_agree_on_what_an_action_is() -> None:
    tried: list[Any] = [
        [0, 1, 2], (0, 1, 2), [0, 0, 1], [0, 1, 20], [-1, 0, 1], [0.0, 1.0, 2.0], [0, 1],
        [[0, 1, 2]], np.array([0, 1, 2], np.uint8), np.array([True, False, True]),
        [0, 1, None], "012",
    ]  # fmt: skip
    for mode in ("fix", "penalise", "raise"):
        env = gymnasium.make(WORLD, slate_size=3, n_candidates=20, on_invalid=mode)
        for action in tried:
            env.reset(seed=0)
            try:
                env.step(action)
                taken = True
            except ValueError:
                taken = False
            assert env.action_space.contains(action) == taken, (mode, action)
        many = gymnasium.make_vec(WORLD, num_envs=2, slate_size=3, on_invalid=mode)
        assert many.action_space.contains(np.zeros((2, 3), int)) == (mode != "raise")
    for size in (1, 2):
        world = gymnasium.make(WORLD, slate_size=size)
        world.reset(seed=0)
        wrong = True if size == 1 else [True, False]
        assert not world.action_space.contains(wrong)
        with pytest.raises(ValueError, match="actions are bool"):
            world.step(wrong)


@pytest.mark.parametrize("size", [1, 3])
def test_masks_of_infos_are_masks_of_samples(size: int) -> None:
    parameters: Any = {"catalogue": ruled(), "n_candidates": None, "slate_size": size}
    one = gymnasium.make(WORLD, **parameters, on_invalid="raise")
    many = gymnasium.make_vec(WORLD, num_envs=5, **parameters, on_invalid="raise")
    for env in (one, many):
        _, info = env.reset(seed=0)
        for _ in range(20):
            assert info["action_mask"].dtype == np.int8
            _, _, terminated, truncated, info = env.step(
                env.action_space.sample(mask=info["action_mask"])
            )
            if env is one and (terminated or truncated):
                _, info = env.reset()


def test_an_item_is_sampled_inside_any_mask_and_never_outside() -> None:
    space = ItemSpace(4, seed=0)
    for mask in ([0, 1, 0, 1], np.array([False, True, False, True]), np.array([0, 1, 0, 1.0])):
        assert {int(space.sample(mask=mask)) for _ in range(40)} == {1, 3}
    with pytest.raises(ValueError, match="mask allows 0 items"):
        space.sample(mask=np.zeros(4, np.int8))
    many = gymnasium.vector.utils.batch_space(space, 2)
    mask = np.array([[1, 0, 0, 0], [0, 0, 0, 1]])
    assert many.sample(mask=mask).tolist() == [0, 3]


def test_the_last_infos_of_a_session_stand_beside_its_last_observation() -> None:
    env = gymnasium.make_vec(WORLD, num_envs=3, max_steps=2)
    single = SyncVectorEnv(
        [lambda: gymnasium.make(WORLD, max_steps=2)], autoreset_mode=AutoresetMode.SAME_STEP
    )
    action = np.array([[0, 1, 2]])
    env.reset(seed=0), single.reset(seed=0)
    for _ in range(2):
        infos = env.step(np.tile(action, (3, 1)))[4]
        alone = single.step(action)[4]
    assert infos["_final_info"].all()
    last, other = infos["final_info"], alone["final_info"]
    assert {k for k in other if not k.startswith("_")} <= set(last)
    for name in ("consumed", "responses", "position_reward", "invalid"):
        assert last[f"_{name}"].all()
        np.testing.assert_allclose(last[name][0], other[name][0])


def test_statistics_and_scaled_rewards_are_those_of_gymnasiums_wrappers() -> None:
    plain, env = (gymnasium.make_vec(WORLD, num_envs=4, max_steps=5) for _ in range(2))
    wrapped = NormalizeReward(RecordEpisodeStatistics(env))
    plain.reset(seed=0), wrapped.reset(seed=0)
    plain.action_space.seed(0)
    earned, ended = np.zeros(4), 0
    for _ in range(15):
        action = plain.action_space.sample()
        _, reward, terminated, truncated, _ = plain.step(action)
        *_, infos = wrapped.step(action)
        done, earned = terminated | truncated, earned + reward
        if done.any():
            np.testing.assert_allclose(infos["episode"]["r"][done], earned[done])
        earned[done], ended = 0.0, ended + done.sum()
    assert ended >= 4


def test_modes_are_named_or_refused_by_name() -> None:
    with pytest.raises(ValueError, match="autoreset_mode = 'same_step': choose one of"):
        gymnasium.make_vec(WORLD, num_envs=2, autoreset_mode="same_step")
    with pytest.raises(ValueError, match="on_invalid = 'mend': choose 'fix'"):
        gymnasium.make(WORLD, on_invalid="mend")
    with pytest.raises(ValueError, match="render_mode = 'human': only one user"):
        gymnasium.make_vec(WORLD, num_envs=2, render_mode="human")
    with pytest.raises(ValueError, match="offer = 'best'"):
        gymnasium.make(WORLD, offer="best")
