"""Sums of the last minutes: a ring of short stretches, each the sum of what happened in it."""

from __future__ import annotations

from functools import reduce
from operator import add

from serving.metrics.sums import Sums


class Window:
    """The last `stretches` stretches of `width` seconds, the present one included. A clock that
    goes back does not fill it: what is far from what was added last is let go."""

    def __init__(self, width: float = 10.0, stretches: int = 30) -> None:
        self.width, self.stretches = width, stretches
        self._sums: dict[int, Sums] = {}

    def add(self, time: float, sums: Sums) -> None:
        """Put in what happened at a time, in seconds."""
        at = self._at(time)
        self._sums[at] = self._sums.get(at, Sums()) + sums
        if len(self._sums) > self.stretches:
            self._sums = {k: v for k, v in self._sums.items() if abs(k - at) < self.stretches}

    def total(self, now: float) -> Sums:
        """The sum over the window that ends now."""
        last = self._at(now)
        inside = (v for k, v in self._sums.items() if last - self.stretches < k <= last)
        return reduce(add, inside, Sums())

    def seconds(self, now: float, started: float) -> float:
        """How long the window that ends now is, of a server that started then."""
        return max(0.0, now - max(started, (self._at(now) - self.stretches + 1) * self.width))

    def _at(self, time: float) -> int:
        return int(time // self.width)
