"""RecEnv: one user behind Gymnasium's plain interface; the vector environment with one row."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from recsim_env.observations import Observation
from recsim_env.rendering.modes import MODES, check_render_mode, rendered
from recsim_env.rendering.text import session_text
from recsim_env.rendering.trace import Recorder, Trace
from recsim_env.spaces import flat
from recsim_env.vector import RecVectorEnv


class RecEnv(gymnasium.Env[dict[str, Any], Any]):
    """One user; takes RecVectorEnv's parameters, less `num_envs` and `autoreset_mode`.

    Under one seed its j-th session is the j-th session of slot 0 of the vector environment. Tables
    are flat here, row after row: history_responses is (H * R,), candidate_features (C * F,), since
    libraries for one environment, Stable-Baselines3 among them, take vectors and images only.
    """

    metadata = {"render_modes": MODES, "render_fps": 4}  # noqa: RUF012 - gymnasium declares it so

    def __init__(self, render_mode: str | None = None, **parameters: Any) -> None:
        check_render_mode(render_mode)
        one = RecVectorEnv(1, autoreset_mode=AutoresetMode.DISABLED, **parameters)
        self.vector, self.n_items, self.item_features = one, one.n_items, one.item_features
        self.slate_size, self.n_candidates = one.slate_size, one.n_candidates
        self.history_length, self.max_steps = one.history_length, one.max_steps
        self.response_names = one.response_names
        self.render_mode = render_mode
        self._over = False
        world = type(one.config).__name__.removesuffix("Config")
        self._recorder = Recorder(world, one.catalogue, one.response_names, one.slate_size)
        self.observation_space = flat(self.vector.single_observation_space)
        self.action_space = self.vector.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start the next session; a seed starts again at session 0. options: RecVectorEnv's."""
        super().reset(seed=seed)
        obs, _ = self.vector.reset(seed=seed, options=options)
        self._over, obs = False, _flattened(obs)
        if self.render_mode is not None:
            self._recorder.begin(self.vector.live.users)
            self._tell()
        return obs, _mask_of(obs)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices may be served now: (C,), or (K * C,) for the K positions of a slate."""
        return np.tile(self.vector.action_masks()[0], self.vector.slate_size)

    def __copy__(self) -> RecEnv:
        return copy.deepcopy(self)  # two that share their user would disturb one another

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Serve one slate (K,) of candidate indices, or one index when K = 1."""
        if self._over:
            raise RuntimeError("the session has ended: call reset() before step()")
        with self.vector.alone:
            view, out, invalid, _, shown = self.vector.advance(np.asarray(action)[None])
            obs = _flattened(self.vector.observed(view))
        info: dict[str, Any] = {
            "consumed": int(out.consumed[0]),
            "responses": out.responses[0],
            "position_reward": out.position_reward[0],
        }
        if self.vector.on_invalid != "raise":
            info["invalid"] = bool(invalid[0])
        self._over = bool(out.terminated[0] or out.truncated[0])
        info |= _mask_of(obs)
        if self.render_mode is not None:
            self._recorder.add(self.vector.live.users, shown[0], out)
            self._tell()
        return obs, float(out.reward[0]), bool(out.terminated[0]), bool(out.truncated[0]), info

    @property
    def trace(self) -> Trace:
        """The session so far: the user's hidden state, slates, choices and rewards.

        Raises ValueError without a render mode, RuntimeError before the first reset.
        """
        if self.render_mode is None:
            raise ValueError('nothing is kept to look at: make(..., render_mode="ansi")')
        return self._recorder.trace()

    def render(self) -> Any:
        """The last steps of the session as text ("ansi"), the session as a picture (H, W, 3)
        ("rgb_array"), or None; in mode "human" every step is printed by itself.

        Raises RuntimeError before the first reset.
        """
        return None if self.render_mode is None else rendered(self.trace, self.render_mode)

    def _tell(self) -> None:
        if self.render_mode == "human":
            print(session_text(self.trace, last=1))


def _flattened(obs: Observation) -> Observation:
    """The one row of each array, as a vector."""
    return {name: array.reshape(-1) for name, array in obs.items()}


def _mask_of(obs: Observation) -> dict[str, Any]:
    """For infos: which choices (C,) may be served now, where items come and go."""
    return {"action_mask": obs["action_mask"].copy()} if "action_mask" in obs else {}
