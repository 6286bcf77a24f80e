"""RecEnv: one user behind Gymnasium's plain interface; the vector environment with one row."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from recsim_env.observations import Observation
from recsim_env.spaces import flat
from recsim_env.vector import RecVectorEnv


class RecEnv(gymnasium.Env[dict[str, Any], Any]):
    """One user; takes RecVectorEnv's parameters, less `num_envs` and `autoreset_mode`.

    Under one seed its j-th session is the j-th session of slot 0 of the vector environment. Tables
    are flat here, row after row: history_responses is (H * R,), candidate_features (C * F,), since
    libraries for one environment, Stable-Baselines3 among them, take vectors and images only.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it so

    def __init__(self, render_mode: None = None, **parameters: Any) -> None:
        self.vector = RecVectorEnv(1, autoreset_mode=AutoresetMode.DISABLED, **parameters)
        self.render_mode = render_mode
        self._over = False
        self.observation_space = flat(self.vector.single_observation_space)
        self.action_space = self.vector.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next session; a seed starts again at session 0. options: RecVectorEnv's."""
        super().reset(seed=seed)
        obs, _ = self.vector.reset(seed=seed, options=options)
        self._over = False
        return _flattened(obs), {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices may be served now: (C,), or (K * C,) for the K positions of a slate."""
        return np.tile(self.vector.action_masks()[0], self.vector.slate_size)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Serve one slate (K,) of candidate indices, or one index when K = 1."""
        if self._over:
            raise RuntimeError("the session has ended: call reset() before step()")
        view, out, invalid, _ = self.vector.advance(np.asarray(action)[None])
        info: dict[str, Any] = {
            "consumed": int(out.consumed[0]),
            "responses": out.responses[0],
            "position_reward": out.position_reward[0],
        }
        if self.vector.on_invalid == "penalise":
            info["invalid"] = invalid[0]
        self._over = bool(out.terminated[0] or out.truncated[0])
        obs = _flattened(self.vector.observed(view))
        if "action_mask" in obs:
            info["action_mask"] = obs["action_mask"].astype(np.bool_)
        return obs, float(out.reward[0]), bool(out.terminated[0]), bool(out.truncated[0]), info


def _flattened(obs: Observation) -> Observation:
    """The one row of each array, as a vector."""
    return {name: array.reshape(-1) for name, array in obs.items()}
