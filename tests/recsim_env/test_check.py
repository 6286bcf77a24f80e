"""check_vector_env passes what keeps its promises and catches what does not."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env
from recsim_env import RecVectorEnv, check_vector_env


@pytest.mark.parametrize("name", recsim_env.USERS)
def test_every_user_model_passes(name: str) -> None:
    check_vector_env(gymnasium.make_vec(f"recsim_env/{name}-v0", num_envs=6, max_steps=8))


class Leaky(RecVectorEnv):
    """Hands out the live history."""

    def observed(self, view: Any) -> Any:
        return super().observed(view) | {"history_items": self.live.items[:, :20]}


class Deaf(RecVectorEnv):
    """Ignores its seed."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=7 if seed is not None else None, options=options)


class Crowded(RecVectorEnv):
    """Lets the first user's reward depend on the others."""

    def step(self, actions: Any) -> Any:
        obs, reward, *rest = super().step(actions)
        return obs, reward + reward.mean(), *rest


class Loose(RecVectorEnv):
    """Declares another dtype than it returns."""

    def observed(self, view: Any) -> Any:
        obs = super().observed(view)
        return obs | {"user": obs["user"].astype(np.float64)}


class Forgetful(RecVectorEnv):
    """Loses the last observation of an ended session."""

    def step(self, actions: Any) -> Any:
        *out, infos = super().step(actions)
        infos.pop("final_obs", None)
        return *out, infos


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Leaky, "writing into returned arrays"),
        (Deaf, "the seed does nothing"),
        (Crowded, "num_envs"),
        (Loose, "user is float64, declared float32"),
        (Forgetful, "final_obs must stand exactly where rows ended"),
    ],
)
def test_broken_environments_are_caught(broken: type[RecVectorEnv], message: str) -> None:
    def make(num_envs: int, **more: Any) -> RecVectorEnv:
        return broken(num_envs, model="longplay", max_steps=6, **more)

    with pytest.raises(AssertionError, match=message):
        check_vector_env(make(6), make=make)
