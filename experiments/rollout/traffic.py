"""A traffic of users, fast: sessions that come again, with returns that a world has paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

DAY = 86_400.0  # s


@dataclass(frozen=True, slots=True)
class Traffic:
    """What users do, whichever policy serves them."""

    users: int = 3_000
    sessions: float = 2.0  # of a user a day, on average
    shape: float = 1.5  # of the gamma distribution of users' rates: smaller is more unequal
    own: float = 0.6  # how far a user's sessions lie from the user's own place in the pool
    rate: float | None = None  # of sessions that convert; None: returns of the pool
    day: float = 0.0  # amplitude of the time of day in how many come
    weekend: float = 0.0  # how many more come, and how much less they return, on two days of seven

    def busy(self, time: float) -> float:
        """How many come at this time, over the mean."""
        return float(1 + self.day * np.sin(2 * np.pi * time / DAY)) * (1 + self._weekend(time))

    def paid(self, time: float) -> float:
        """What a session returns at this time, over the mean."""
        return float(1 + 0.5 * self.day * np.cos(2 * np.pi * time / DAY)) * (
            1 - 0.5 * self._weekend(time)
        )

    def _weekend(self, time: float) -> float:
        return self.weekend if time // DAY % 7 >= 5 else 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a canary does to the return of a session, as a share of it."""

    first: float = 0.0
    later: float | None = None  # from `turn` on
    turn: float = 0.0  # s
    novelty: float = 0.0  # more in a user's first sessions of the canary: halves every `lasts`
    lasts: float = 3.0  # sessions

    def of(self, time: float, before: F64) -> F64:
        """(N,) for sessions of users who had so many of the canary's `before`."""
        level = self.first if self.later is None or time < self.turn else self.later
        return level + self.novelty * np.exp2(-before / self.lasts)


class Met(NamedTuple):
    """What U users did in a stretch of time."""

    sessions: F64
    paid: F64
    lost: F64  # what they would have been paid more under control


class Users:
    """Users of one rollout; every number of theirs comes of `rng`."""

    def __init__(self, traffic: Traffic, pool: F64, rng: np.random.Generator) -> None:
        n = traffic.users
        self.traffic, self.pool, self.rng = traffic, pool, rng
        self.point = rng.random(n)  # canary where below its share: users keep their arm
        self.rate = rng.gamma(traffic.shape, traffic.sessions / traffic.shape, n)
        self.place = rng.random(n)
        self.met = np.zeros(n)  # sessions of the canary

    def play(self, begin: float, end: float, weight: float, change: Change) -> Met:
        """Sessions of [begin, end), in s."""
        t, middle = self.traffic, (begin + end) / 2
        count = self.rng.poisson(self.rate * ((end - begin) / DAY * t.busy(middle)))
        canary = self.point < weight
        more = np.where(canary, change.of(middle, self.met), 0.0)
        self.met += np.where(canary, count, 0)
        if t.rate is None:
            base = self._returns(count) * t.paid(middle)
            return Met(count.astype(np.float64), base * (1 + more), -base * more)
        chance = t.rate * (0.5 + self.place) * t.paid(middle)  # unequal users
        paid = self.rng.binomial(count, chance * (1 + more)).astype(np.float64)
        return Met(count.astype(np.float64), paid, -count * chance * more)

    def _returns(self, count: I64) -> F64:
        """(U,) sums of so many sessions each, every one near the user's own place in the pool."""
        place = np.repeat(self.place, count)
        place += self.traffic.own * self.rng.standard_normal(len(place))
        place = np.abs((place + 1) % 2 - 1)  # mirrored at 0 and 1: evenly spread as a whole
        paid = self.pool[(place * len(self.pool)).astype(np.int64)]
        sums = np.concatenate([[0.0], np.cumsum(paid)])
        ends = np.cumsum(count)
        return np.asarray(sums[ends] - sums[ends - count])
