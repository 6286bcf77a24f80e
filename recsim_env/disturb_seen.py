"""Disturbances of what users want and of what is seen of them."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.disturbance import Disturbance, Obs
from recsim_env.oracle import bare


class Drift(Disturbance):
    """Stands for: tastes that move by season, news or a redesign, whatever is recommended.

    Signal: reward falls while propensities stay right; the reward model's residuals drift.
    `kind` "sudden" turns interests once at `start`, "gradual" a little at every step, "seasonal"
    there and back with `period`. Needs users with an `interest` vector.
    """

    def __init__(
        self,
        env: Any,
        *,
        kind: str = "sudden",
        size: float = 0.5,
        period: int = 50,
        **schedule: int,
    ) -> None:
        if kind not in ("sudden", "gradual", "seasonal"):
            raise ValueError(f"kind = {kind!r}: choose 'sudden', 'gradual' or 'seasonal'")
        super().__init__(env, **schedule)
        self.kind, self.size, self.period = kind, size, period
        interest = bare(env).live.users["interest"]
        self.direction = np.random.default_rng([self.seed, 78]).normal(size=interest.shape[1])
        self.direction /= float(np.linalg.norm(self.direction))

    def before(self) -> None:
        """Move every user's interests along one direction, at unchanged length."""
        age = self.clock - self.start
        amount = self.size
        if self.kind == "sudden" and age > 0:
            return
        if self.kind == "gradual":
            amount = self.size / self.period
        if self.kind == "seasonal":
            turn = 2 * np.pi / self.period
            amount = float(self.size * turn * np.cos(turn * age))
        interest = bare(self.env).live.users["interest"]
        length = np.linalg.norm(interest, axis=1, keepdims=True)
        moved = interest + amount * length * self.direction
        moved = moved * length / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
        interest[:] = np.clip(moved, -1, 1)


class StaleObservations(Disturbance):
    """Stands for: a feature store that lags. Observed histories and sums are `lag` steps old.

    Signal: logged features differ from features derived from the log (training-serving skew).
    """

    def __init__(self, env: Any, *, lag: int = 3, **schedule: int) -> None:
        self.lag = lag
        super().__init__(env, **schedule)

    def _restart(self) -> None:
        super()._restart()
        self.past: deque[Obs] = deque(maxlen=self.lag + 1)

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """The user's part as it was; candidates are always today's."""
        mine = {k: v for k, v in obs.items() if k.startswith("history") or k == "user"}
        for old in self.past:
            for key, array in mine.items():
                old[key][fresh] = array[fresh]
        self.past.append({key: array.copy() for key, array in mine.items()})
        return obs | {k: v.copy() for k, v in self.past[0].items()} if self.active else obs


class MissingFeatures(Disturbance):
    """Stands for: a broken join. Each row loses its user vector and features with chance `rate`.

    Signal: the share of zero rows in the context; calibration of the propensities by context.
    """

    def __init__(self, env: Any, *, rate: float = 0.2, **schedule: int) -> None:
        super().__init__(env, **schedule)
        self.rate = rate

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Zeros where the join failed."""
        lost = self.luck.random(self.num_envs) < self.rate
        if not self.active:
            return obs
        out = dict(obs)
        for key in ("user", "candidate_features"):
            if key in out:
                out[key] = out[key].copy()
                out[key][lost] = np.clip(0, self._low(key)[lost], None)
        return out

    def _low(self, key: str) -> NDArray[Any]:
        """The least that the space allows, where 0 is not inside it."""
        space: Any = self.env.observation_space
        return np.asarray(np.minimum(space[key].low, 0))


class ColdStart(Disturbance):
    """Stands for: a wave of new users (a campaign). Observed histories are empty while it lasts.

    Signal: the share of empty histories; reward by history length.
    """

    def observed(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Nobody is known."""
        if not self.active:
            return obs
        empty = np.full_like(obs["history_items"], -1)
        blank = np.zeros_like(obs["history_responses"])
        return obs | {"history_items": empty, "history_responses": blank}
