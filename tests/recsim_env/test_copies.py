"""Copies and pickles of an environment go on as it would; two callers at once are refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401
from recsim_env.kernel.alone import Alone

WORLD = "recsim_env/Longplay-v0"
WAYS: dict[str, Callable[[Any], Any]] = {
    "copied": copy.copy,
    "copied deep": copy.deepcopy,
    "pickled": lambda env: pickle.loads(pickle.dumps(env)),
}


def single() -> Any:
    return gymnasium.make(WORLD, max_steps=6).unwrapped


def many() -> Any:
    return gymnasium.make_vec(WORLD, num_envs=3, max_steps=6, threads=2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [single, many])
def test_a_copy_goes_on_by_itself(make: Callable[[], Any], way: str) -> None:
    env, untouched = make(), make()
    action = env.action_space.sample()
    for one in (env, untouched):
        one.reset(seed=5)
        one.step(action)
    copied = WAYS[way](env)
    for _ in range(3):  # the copy alone moves on
        after = [copied.step(action)]
    expected = [untouched.step(action) for _ in range(3)][-1:]
    np.testing.assert_equal(after, expected)
    for _ in range(3):
        last = [env.step(action)]
    np.testing.assert_equal(last, expected)
    np.testing.assert_equal(copied.reset(), untouched.reset())
    copied.close(), env.close(), untouched.close()


def test_a_copy_of_a_fresh_environment_starts_as_it_does() -> None:
    env = many()
    copied = pickle.loads(pickle.dumps(env))
    np.testing.assert_equal(copied.reset(seed=2), env.reset(seed=2))
    assert copied.action_space == env.action_space
    assert copied.observation_space == env.observation_space
    copied.close(), env.close()


@pytest.mark.parametrize("make", [single, many])
def test_a_call_in_the_middle_of_another_is_refused(make: Callable[[], Any]) -> None:
    env = make()
    env.reset(seed=0)
    action = env.action_space.sample()
    core = getattr(env, "vector", env)
    with core.alone:  # as inside of another thread's step
        for call in (env.reset, lambda: env.step(action)):
            with pytest.raises(RuntimeError, match="one thread at a time"):
                call()
    env.step(action)
    env.close()


def test_who_fails_lets_the_next_one_in() -> None:
    alone = Alone()
    with pytest.raises(KeyError), alone:
        raise KeyError
    with alone, pytest.raises(RuntimeError, match="in the middle"), alone:
        pass
