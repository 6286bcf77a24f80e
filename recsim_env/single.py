"""RecEnv: one user behind Gymnasium's plain interface; the vector environment with one row."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from recsim_env.vector import Observation, RecVectorEnv


class RecEnv(gymnasium.Env[dict[str, Any], Any]):
    """One user; takes RecVectorEnv's parameters, less `num_envs` and `autoreset_mode`.

    Under one seed its j-th session is the j-th session of slot 0 of the vector environment.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it so

    def __init__(self, render_mode: None = None, **parameters: Any) -> None:
        self.vector = RecVectorEnv(1, autoreset_mode=AutoresetMode.DISABLED, **parameters)
        self.render_mode = render_mode
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next session; a seed starts again at session 0."""
        super().reset(seed=seed)
        obs, _ = self.vector.reset(seed=seed)
        return {name: array[0] for name, array in obs.items()}, {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices may be served now: (C,), or (K * C,) for the K places of a slate."""
        return np.tile(self.vector.action_masks()[0], self.vector.slate_size)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Serve one slate (K,) of candidate indices, or one index when K = 1."""
        obs, reward, terminated, truncated, infos = self.vector.step(np.asarray(action)[None])
        info = {name: array[0] for name, array in infos.items() if not name.startswith("_")}
        return (
            {name: array[0] for name, array in obs.items()},
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            info | {"consumed": int(info["consumed"])},
        )
