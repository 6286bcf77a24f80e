"""Disturbances of users' interests and of what is observed of them."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.columns import check_finite, check_whole
from recsim_env.disturb.disturbance import Disturbance, Obs, check_chance
from recsim_env.oracles.oracle import bare


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector (D,) at length 1."""
    scaled: NDArray[np.float64] = vector / float(np.linalg.norm(vector))
    return scaled


def moved(
    interest: NDArray[Any], size: float | NDArray[np.float64], direction: NDArray[np.float64]
) -> NDArray[Any]:
    """Interests (N, D) moved by `size`, one number or (N, 1), times their length in a direction
    (D,) of length 1, at unchanged length and inside -1..1; those moved by 0 stay as they are."""
    length = np.linalg.norm(interest, axis=1, keepdims=True)
    there = interest + size * length * direction
    there = there * length / np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-9)
    return np.where(np.equal(size, 0), interest, np.clip(there, -1, 1))


class Drift(Disturbance):
    """Stands for: preferences that move by season, news or a redesign, whatever is recommended.

    Signal: "value per day" of the log doctor, while its propensity checks stay quiet.
    `kind` "sudden" moves interests by `size` at `start`, "gradual" by as much in every `period`
    steps, "seasonal" there and back with `period`; users who come later come so moved. Lengths of
    interests stay. What `stop` finds, stays. Needs users with an `interest` vector.
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
        check_whole("period", period, 1, "at least one step")
        check_finite("size", size)
        if "interest" not in (bare(env).live.users.dtype.names or ()):
            raise ValueError(
                f"{bare(env).model_name} users have no `interest` that could drift: take a world "
                "whose users have one (longplay, interest_evolution, boredom)"
            )
        self.kind, self.size, self.period = kind, size, period
        super().__init__(env, **schedule)
        width = int(bare(env).live.users["interest"].shape[1])
        self.direction = unit(np.random.default_rng([self.seed, 78]).normal(size=width))

    def _restart(self) -> None:
        super()._restart()
        self.moved = np.zeros(self.num_envs)  # (N,) how far each slot's user has been moved

    def amount(self, age: int) -> float:
        """How far interests have moved `age` steps after the start."""
        if self.kind == "sudden":
            return self.size
        if self.kind == "gradual":
            return self.size * (age + 1) / self.period
        return float(self.size * np.sin(2 * np.pi * (age + 1) / self.period))

    def before_step(self) -> None:
        """Move every user's interests to where they are now, at unchanged length."""
        amount = self.amount(self.clock - self.start)
        step = (amount - self.moved)[:, None]
        interest = bare(self.env).live.users["interest"]
        interest[:] = moved(interest, step, self.direction)
        self.moved[:] = amount

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Nothing else is seen; who begins a session has not been moved yet."""
        self.moved[fresh] = 0.0
        return obs


class StaleObservations(Disturbance):
    """Stands for: a feature store that lags. Observed histories and sums are `lag` steps old.

    Signal: training-serving skew: logged features differ from those derived from the log, as the
    count of steps in `context` from the column `step`.
    """

    def __init__(self, env: Any, *, lag: int = 3, **schedule: int) -> None:
        check_whole("lag", lag, 0, "steps must not be negative")
        self.lag = lag
        super().__init__(env, **schedule)

    def _restart(self) -> None:
        super()._restart()
        self.past: deque[Obs] = deque(maxlen=self.lag + 1)

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """The user's part as it was; candidates are always today's."""
        mine = {k: v for k, v in obs.items() if k.startswith("history") or k == "user"}
        for old in self.past:
            for key, array in mine.items():
                old[key][fresh] = array[fresh]
        self.past.append({key: array.copy() for key, array in mine.items()})
        return obs | {k: v.copy() for k, v in self.past[0].items()} if self.active else obs

    def final(self, last: Obs, rows: NDArray[np.int64]) -> Obs:
        """The same for last observations: what was seen `lag` steps before."""
        before = list(self.past)[-self.lag :] if self.lag else []
        if not (before and self.active):
            return last
        return last | {key: array[rows].copy() for key, array in before[0].items()}


class MissingFeatures(Disturbance):
    """Stands for: a broken join. Each row loses its user vector and features with chance `rate`.

    Signal: the share of rows whose `context` is all zero; nobody's is after a session's first step.
    """

    def __init__(self, env: Any, *, rate: float = 0.2, **schedule: int) -> None:
        check_chance("rate", rate)
        super().__init__(env, **schedule)
        self.rate = rate

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Zeros where the join failed."""
        lost = self.rng.random(self.num_envs) < self.rate
        return self._without(obs, np.flatnonzero(lost), lost) if self.active else obs

    def final(self, last: Obs, rows: NDArray[np.int64]) -> Obs:
        """The same for last observations."""
        lost = self.final_rng.random(len(rows)) < self.rate
        return self._without(last, rows[lost], lost) if self.active else last

    def _without(self, obs: Obs, slots: NDArray[np.int64], lost: NDArray[np.bool_]) -> Obs:
        """Observations whose `lost` rows, of these slots, have no features."""
        out = dict(obs)
        for key in ("user", "candidate_features"):
            if key in out:
                out[key] = out[key].copy()
                out[key][lost] = np.clip(0, self._low(key)[slots], None)
        return out

    def _low(self, key: str) -> NDArray[Any]:
        """The least that the space allows, where 0 is not inside it."""
        space: Any = self.env.observation_space
        return np.asarray(np.minimum(space[key].low, 0))


class ColdStart(Disturbance):
    """Stands for: a wave of new users (a campaign). Observed histories are empty while it lasts.

    Signal: the share of empty histories among those that the policy is shown.
    """

    def observations(self, obs: Obs, fresh: NDArray[np.bool_]) -> Obs:
        """Nobody is known."""
        return self._unknown(obs) if self.active else obs

    def final(self, last: Obs, rows: NDArray[np.int64]) -> Obs:
        """Nor where a session ends."""
        return self._unknown(last) if self.active else last

    def _unknown(self, obs: Obs) -> Obs:
        """The same users without histories."""
        empty = np.full_like(obs["history_items"], -1)
        blank = np.zeros_like(obs["history_responses"])
        return obs | {"history_items": empty, "history_responses": blank}
