"""The sums of users over the last stretches of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import add

from offpolicy.trials.units import TrialUnits
from serving.following.user_sums import UserSums

STRETCHES = 4  # in the recent part: it begins with one, at most a quarter of it too early


class RecentSums:
    """User sums of the last `seconds` at least, a table for each stretch of time."""

    def __init__(self, names: Sequence[str], seconds: float) -> None:
        self.names, self.width = tuple(names), seconds / STRETCHES
        self._tables: dict[int, UserSums] = {}

    def begins(self, now: float) -> float:
        """Time (s) from which on the part that ends `now` counts."""
        return (self._at(now) - STRETCHES) * self.width

    def add(
        self,
        time: float,
        user: int,
        canary: bool,
        stratum: int,
        values: Sequence[float],
        *,
        begins: bool,
    ) -> None:
        """As `UserSums.add`, of a decision at `time` (s)."""
        at = self._at(time)
        if at not in self._tables:
            self._tables[at] = UserSums(self.names)
            newest = max(self._tables)
            self._tables = {k: v for k, v in self._tables.items() if k >= newest - STRETCHES - 1}
            if at not in self._tables:
                return  # it is long ago
        self._tables[at].add(user, canary, stratum, values, begins=begins)

    def units(self, since: float) -> TrialUnits:
        """Of the stretches that begin at `since` (s) or later; the one that holds it, too."""
        tables = [v.units() for k, v in sorted(self._tables.items()) if k >= self._at(since)]
        return reduce(add, tables, UserSums(self.names).units())

    def _at(self, time: float) -> int:
        return math.floor(time / self.width)
