"""What every disturbance is: a vector wrapper with a schedule and a random stream of its own.

Every wrapper acts from decision `start` until before `stop` of its own count of steps and draws
from a random stream of its own, so that the users are those of the undisturbed world.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from recsim_env.columns import check_whole

Obs = dict[str, NDArray[Any]]


def check_chance(name: str, chance: float) -> None:
    """Raise ValueError where a share or rate is outside 0..1."""
    if not 0 <= chance <= 1:
        raise ValueError(f"{name} = {chance} must lie in 0..1")


class Disturbance(VectorWrapper[Any, Any, Any, Any, Any]):
    """Counts steps and owns schedule and random stream; what it does is in the subclasses."""

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, start: int = 0, stop: int = 2**62, seed: int = 0
    ) -> None:
        super().__init__(env)
        for name, step in (("start", start), ("stop", stop), ("seed", seed)):
            check_whole(name, step, 0, "at least 0")
        if not start < stop:
            raise ValueError(f"start = {start}, stop = {stop}: need 0 <= start < stop")
        self.start, self.stop, self.seed = start, stop, seed
        self._restart()

    def __getattr__(self, name: str) -> Any:
        """What policies ask of a world (n_items, slate_size ...) is the world's."""
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def _restart(self) -> None:
        self.clock = 0
        self.rng = np.random.default_rng(np.random.SeedSequence([self.seed, 77]))
        self.final_rng = np.random.default_rng(np.random.SeedSequence([self.seed, 76]))
        self._ended = np.zeros(self.num_envs, np.bool_)

    @property
    def active(self) -> bool:
        """Whether the schedule says that the disturbance is on."""
        return self.start <= self.clock < self.stop

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Reset the world; a seed also restarts the schedule."""
        if seed is not None:
            self._restart()
        obs, infos = self.env.reset(seed=seed, options=options)
        begun = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_)))
        self._ended[begun] = False
        self.forget(begun)
        return self.observations(obs, begun), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Serve what becomes of the actions, and return what becomes of the answer."""
        if self.active:
            self.before_step()
        actions = self.actions(np.array(actions)) if self.active else actions
        obs, reward, terminated, truncated, infos = self.env.step(actions)
        ended = terminated | truncated
        reward = self.rewards(reward, ended, infos)
        self.clock += 1
        self._finals(ended, infos)
        obs = self.observations(obs, self._fresh(ended))
        if "action_mask" in obs:
            infos["action_mask"] = obs["action_mask"].astype(np.bool_)
            infos["_action_mask"] = np.ones(self.num_envs, np.bool_)
        return obs, reward, terminated, truncated, infos

    def _fresh(self, ended: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows (N,) of what a step observed are the first of a session."""
        before, self._ended = self._ended, ended
        mode = self.env.metadata.get("autoreset_mode")
        if mode is AutoresetMode.SAME_STEP:
            return ended
        return before if mode is AutoresetMode.NEXT_STEP else np.zeros_like(ended)

    def _finals(self, ended: NDArray[np.bool_], infos: dict[str, Any]) -> None:
        """Sessions that ended: their last observation is disturbed like any other."""
        rows = np.flatnonzero(ended & infos.get("_final_obs", False))
        if rows.size == 0:
            return
        every = [infos["final_obs"][row] for row in rows]
        last = self.final({key: np.stack([one[key] for one in every]) for key in every[0]}, rows)
        for nth, row in enumerate(rows):
            infos["final_obs"][row] = {key: array[nth] for key, array in last.items()}

    def forget(self, rows: NDArray[np.bool_]) -> None:
        """Drop what is remembered of the sessions that a reset broke off."""

    def final(self, last: Obs, rows: NDArray[np.int64]) -> Obs:
        """What is seen instead of the last observations, of the rows whose sessions ended."""
        return last

    def before_step(self) -> None:
        """Change the world before a step."""

    def actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        """What is served instead of the actions."""
        return actions

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """What is seen instead of the observation; `fresh` rows have just begun a session."""
        return obs

    def rewards(
        self, reward: NDArray[Any], ended: NDArray[np.bool_], infos: dict[str, Any]
    ) -> NDArray[Any]:
        """What is paid instead of the reward."""
        return reward
