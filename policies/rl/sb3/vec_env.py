"""A native vector environment as Stable-Baselines3's VecEnv, with the frozen encoder in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from policies.encoders.serving.follow import Follower
from policies.features import StateFeatures
from policies.observation import (
    Observation,
    Serving,
    check_same_world,
    observation_of,
    offered,
    serving_of,
)
from policies.rl.sb3.prior import Prior
from policies.rollout import check_same_step
from policies.wrapped import attribute, vectorised

F32 = NDArray[np.float32]
Decode = Callable[[NDArray[Any], F32], NDArray[Any]]


def observation_space(state: StateFeatures, prior: Prior | None = None) -> spaces.Box:
    """(D + C,): the state, then item ids where there is a candidate generator; C more over a
    prior, for its logits."""
    columns = state.serving.n_candidates or 0
    columns += 0 if prior is None else state.serving.columns
    return spaces.Box(-np.inf, np.inf, (state.size + columns,), np.float32)


def slate_space(serving: Serving) -> spaces.Space[Any]:
    """The actions of an environment of these sizes: a column, or a slate of columns."""
    if serving.slate_size == 1:
        return spaces.Discrete(serving.columns)
    return spaces.MultiDiscrete([serving.columns] * serving.slate_size, dtype=np.int32)


def model_rows(
    state: StateFeatures, prior: Prior | None, obs: Observation, encoded: F32 | None = None
) -> F32:
    """What a model sees of B users (B, D + C), see `observation_space`; `encoded` (B, De): the
    encoder's states, where they are known already."""
    parts: list[NDArray[Any]] = [state(obs, encoded)]
    if obs.candidates is not None and (ids := offered(obs)) is not None:
        parts.append(ids)
    if prior is not None:
        parts.append(prior.logits(obs))
    return np.concatenate(parts, axis=1, dtype=np.float32)


class EncodedVecEnv(VecEnv):
    """Observation (D + C): encoded state, then the candidates' item ids; rewards over a scale.

    Without a candidate generator there are no ids (C = 0). Over a prior its logits come last.
    Truncated rows carry the encoded last observation as `terminal_observation`, which
    Stable-Baselines3 bootstraps from; a user who left has none. Users who come again are followed:
    an event costs one step of the encoder.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        state: StateFeatures,
        *,
        reward_scale: float = 1.0,
        seed: int,
        space: spaces.Space[Any] | None = None,
        decode: Decode | None = None,
        prior: Prior | None = None,
    ) -> None:
        """`decode` makes slates (B, K) of actions in `space`, given the observation they answer."""
        env = vectorised(env)
        check_same_world(state.serving, serving_of(env), "the agent")
        check_same_step(env)
        self.env, self.state, self.reward_scale = env, state, reward_scale
        self._follow = None if state.encoder is None else Follower(state.encoder)
        space = slate_space(state.serving) if space is None else space
        super().__init__(env.num_envs, observation_space(state, prior), space)
        self.decode, self.prior = decode, prior
        self._rows: F32 = np.zeros((0, 0), np.float32)
        self._eligible: NDArray[np.bool_] = np.ones((env.num_envs, state.serving.columns), np.bool_)
        self._first_seed: int | None = seed
        self._actions: NDArray[Any] = np.zeros(0)
        self._no_infos: list[dict[str, Any]] = [{} for _ in range(env.num_envs)]

    def encode(self, obs: dict[str, NDArray[Any]], *, live: bool = False) -> F32:
        """Environment observation of B users -> (B, D + C); live: of all users, in order of
        time."""
        record = observation_of(obs)
        encoded = self._follow(record.history_items) if live and self._follow is not None else None
        if live and record.eligible is not None:
            self._eligible = record.eligible
        return model_rows(self.state, self.prior, record, encoded)

    def reset(self) -> F32:
        obs, _ = self.env.reset(seed=self._first_seed)
        self._first_seed = None
        self._rows = self.encode(obs, live=True)
        return self._rows

    def step_async(self, actions: NDArray[Any]) -> None:
        if self.decode is not None:
            actions = self.decode(actions, self._rows)
            actions = actions[:, 0] if actions.shape[1] == 1 else actions
        self._actions = actions

    def step_wait(self) -> tuple[F32, F32, NDArray[np.bool_], list[dict[str, Any]]]:
        obs, reward, terminated, truncated, info = self.env.step(self._actions)
        done = terminated | truncated
        infos = self._no_infos
        if done.any():
            infos = [{"TimeLimit.truncated": False} if d else {} for d in done]
        if (rows := np.flatnonzero(truncated & ~terminated)).size:
            last = [info["final_obs"][i] for i in rows]
            final = self.encode({name: np.stack([o[name] for o in last]) for name in last[0]})
            for i, row in zip(rows, final, strict=True):
                infos[i] = {"terminal_observation": row, "TimeLimit.truncated": True}
        scaled = np.asarray(reward / self.reward_scale, np.float32)
        self._rows = self.encode(obs, live=True)
        return self._rows, scaled, done, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """(B, C): which columns each user may be shown now; algorithms that take masks ask it."""
        return self._eligible

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "action_masks":
            return [self.action_masks] * len(self._indices(indices))
        return [attribute(self.env, attr_name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise ValueError(
            "users of a vector environment share their attributes; make a new one instead"
        )

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        if method_name == "action_masks":
            return [self._eligible[i] for i in self._indices(indices)]
        return [getattr(self.env, method_name)(*args, **kwargs)] * len(self._indices(indices))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * len(self._indices(indices))

    def _indices(self, indices: int | Sequence[int] | None) -> Sequence[int]:
        if indices is None:
            return range(self.num_envs)
        return [indices] if isinstance(indices, int) else indices
