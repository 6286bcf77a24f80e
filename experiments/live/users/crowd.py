"""Who comes when: the users of a simulated service, and their visits of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from policies.validation import COUNT, FROM_0, POSITIVE, SHARE

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
DAY = 86_400.0  # s


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """N users of whom some come on a day, once each. Raises ValueError for what cannot be."""

    users: int = 4_000
    daily: float = 0.25  # chance that a user comes on a day
    think: float = 240.0  # s from one decision of a session to the next: an item is enjoyed
    pattern: Literal["flat", "evening"] = "evening"  # when sessions begin
    delay: float = 60.0  # s from a decision to the outcomes that pay, on average (exponential)
    longest_delay: float = 540.0  # s; none takes longer
    duplicates: float = 0.01  # share of outcomes that are sent twice
    shared: float = 0.0  # how far the users' interests are moved towards one direction, at first
    direction: int = 0  # a number that draws it: users of other seeds share it, too

    def __post_init__(self) -> None:
        COUNT.check("users", self.users)
        for name in ("daily", "duplicates"):
            SHARE.check(name, getattr(self, name))
        for name in ("think", "delay", "longest_delay"):
            POSITIVE.check(name, getattr(self, name))
        FROM_0.check("shared", self.shared)
        if self.pattern not in ("flat", "evening"):
            raise ValueError(f"pattern is {self.pattern!r}; it is flat or evening")

    @property
    def ticks(self) -> int:
        """Decisions that one session after another could hold in a day."""
        return int(DAY // self.think)


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """The V sessions of a day by the tick in which they begin."""

    user: I64  # (V,) each once
    tick: I64  # (V,) in order


def visits_of(crowd: Crowd, day: int, seed: int, *, last: int) -> Visits:
    """The visits of a day, which depend on the seed and the day alone: how many is binomial.

    last: ticks at the end of a day in which no session begins, so that sessions end with the day.

    Raises ValueError where a day has no room for them.
    """
    room = crowd.ticks - last
    if room < 1:
        raise ValueError(
            f"sessions of up to {last} decisions, {crowd.think:g} s apart, do not end within a day"
        )
    rng = np.random.default_rng(np.random.SeedSequence((seed, day, 1)))
    user = np.flatnonzero(rng.random(crowd.users) < crowd.daily)
    chance = np.ones(room)
    if crowd.pattern == "evening":  # twice as many at its height, in the evening, as on average
        chance += np.sin(2 * np.pi * (np.arange(room) / room - 0.55))
    tick = rng.choice(room, len(user), p=chance / chance.sum())
    order = np.argsort(tick, kind="stable")
    return Visits(user[order], tick[order])


def seats_of(crowd: Crowd, longest: int) -> int:
    """Sessions that may run at the same time: more than a day's busiest tick will want."""
    busiest = min(2.0 * crowd.users * crowd.daily * longest / crowd.ticks, crowd.users)
    return int(np.ceil(busiest + 5 * busiest**0.5 + 4))
