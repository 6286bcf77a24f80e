"""Transitions from a vector environment: encoded states, items on offer, scaled rewards."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from policies.features import StateFeatures
from policies.observation import Observation, check_same_world, observation_of, offered, serving_of
from policies.rl.data.replay import Transitions, place_of
from policies.rollout import check_same_step
from policies.wrapped import happened, vectorised

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Encoded(NamedTuple):
    """What B users look like to a learner."""

    state: F32  # (B, D)
    items: I32  # (B, C) item ids on offer, -1 = not eligible; C = 0: the whole catalogue


def encode(features: StateFeatures, obs: Observation) -> Encoded:
    """The state of an observation, and what may be shown."""
    ids = offered(obs)
    return Encoded(features(obs), np.zeros((len(obs), 0), np.int32) if ids is None else ids)


class Collector:
    """Steps an environment and hands over each decision with the state that followed it.

    Raises ValueError for an environment of other sizes, or one that does not reset by SAME_STEP: a
    dead row would teach nonsense.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        features: StateFeatures,
        *,
        reward_scale: float,
        seed: int,
    ) -> None:
        env = vectorised(env)
        check_same_world(features.serving, serving_of(env))
        check_same_step(env)
        self.env, self.features, self.reward_scale = env, features, reward_scale
        obs, _ = env.reset(seed=seed)
        self.now = encode(features, observation_of(obs))

    def step(self, action: NDArray[np.int64]) -> Transitions:
        """Show slates (B, K) of columns; `now` is then what the users look like next."""
        before = self.now
        slate = action.astype(np.int32)
        if before.items.shape[1]:
            slate = np.take_along_axis(before.items, action, axis=1)
        shown = action[:, 0] if action.shape[1] == 1 else action
        obs, reward, terminated, truncated, info = self.env.step(shown)
        self.now = encode(self.features, observation_of(obs))
        done = terminated | truncated
        after, consumed = self._after(done, info), happened(info, done)["consumed"]
        return Transitions(
            before.state,
            slate,
            place_of(slate, consumed),
            (reward / self.reward_scale).astype(np.float32),
            (~terminated).astype(np.float32),
            *after,
        )

    def _after(self, done: NDArray[np.bool_], info: dict[str, Any]) -> Encoded:
        """What followed the decisions: where a session ended, its own last state."""
        if not done.any():
            return self.now
        rows = np.flatnonzero(done)
        last = [info["final_obs"][i] for i in rows]
        final = observation_of({name: np.stack([o[name] for o in last]) for name in last[0]})
        state, items = self.now.state.copy(), self.now.items.copy()
        state[rows], items[rows] = encode(self.features, final)
        return Encoded(state, items)
