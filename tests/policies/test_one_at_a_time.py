"""`collect` has its environment for itself: a second one is refused, and the first unharmed."""

from __future__ import annotations

import threading
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401
from policies import build, collect


def world() -> Any:
    return gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=4, max_steps=4)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_second_collect_of_an_environment_is_refused(elsewhere: bool) -> None:
    env = world()
    uniform = build("uniform", env)
    refused: list[str] = []

    def again() -> None:
        try:
            collect(env.unwrapped, uniform, n_sessions=2, seed=1)
        except RuntimeError as error:
            refused.append(str(error))

    def meanwhile(done: int, total: int) -> None:
        if not elsewhere:
            return again()
        thread = threading.Thread(target=again)
        thread.start()
        return thread.join()

    log = collect(env, uniform, n_sessions=8, seed=0, progress=meanwhile)
    assert refused
    assert all("already being served" in one for one in refused)
    alone = collect(world(), uniform, n_sessions=8, seed=0)
    np.testing.assert_array_equal(log.reward, alone.reward)
    times = len(refused)
    again()  # nothing is left of a collect that is over
    assert len(refused) == times


def test_another_environment_may_be_served_meanwhile() -> None:
    env, other = world(), world()
    uniform = build("uniform", env)

    def meanwhile(done: int, total: int) -> None:
        collect(other, uniform, n_sessions=2, seed=1)

    assert len(collect(env, uniform, n_steps=2, seed=0, progress=meanwhile).reward) == 8


def test_an_environment_is_free_after_an_error() -> None:
    env = world()
    uniform = build("uniform", env)
    for _ in range(2):
        with pytest.raises(ValueError, match="either"):
            collect(env, uniform, seed=0)
