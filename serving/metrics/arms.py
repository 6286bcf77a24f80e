"""Sums of each arm of a rollout and version, since the start and over a sliding window."""

from __future__ import annotations

from functools import reduce
from operator import add

from serving.metrics.sums import Sums, undiverse
from serving.metrics.window import Window

Arm = tuple[str, str]  # the arm of a rollout, and the version that it is served by
NOBODY: Arm = ("", "")  # of what belongs to no arm: a request that was refused
MOST = 16  # pairs that are told apart; those that were not seen for the longest are let go


class ArmSums:
    """Sums by arm and version, of bounded size.

    window: how long the sliding window is; each pair has one of the same length.
    """

    def __init__(self, window: Window) -> None:
        self._like = window
        self._totals: dict[Arm, Sums] = {NOBODY: Sums()}
        self._windows: dict[Arm, Window] = {NOBODY: window}
        self._gone = Sums()  # what pairs came to that were let go

    def add(self, arm: Arm, time: float, sums: Sums) -> None:
        """Put in what happened to an arm at a time, in seconds."""
        before = self._totals.pop(arm, Sums())
        self._totals[arm] = before + undiverse(sums)  # the last one was seen last
        if arm not in self._windows:
            self._windows[arm] = Window(self._like.width, self._like.stretches)
        self._windows[arm].add(time, sums)
        if len(self._totals) > MOST:
            oldest = next(one for one in self._totals if one != NOBODY)
            self._gone += self._totals.pop(oldest)
            del self._windows[oldest]

    def totals(self) -> dict[Arm, Sums]:
        """Since the start, by arm and version."""
        return dict(self._totals)

    def windows(self, now: float) -> dict[Arm, Sums]:
        """Over the window that ends now, by arm and version."""
        return {arm: window.total(now) for arm, window in self._windows.items()}

    def total(self) -> Sums:
        """Since the start, of everything."""
        return reduce(add, self._totals.values(), self._gone)

    def seconds(self, now: float, started: float) -> float:
        """How long the window that ends now is, of a server that started then."""
        return self._like.seconds(now, started)

    @property
    def width(self) -> float:
        """Of the stretches of the window, s."""
        return self._like.width
