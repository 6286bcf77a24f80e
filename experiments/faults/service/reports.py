"""Outcomes that are reported wrongly: again, under other ids, or too late."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from experiments.faults.service.doors import Before
from serving import Outcome

Change = Callable[[float, Outcome], list[tuple[float, Outcome]]]  # when (s) what is reported


@dataclass(slots=True)
class Reports(Before):
    """A door through which, from `since` (s) on, each outcome is reported as `change` says. What is
    reported later is so when the clock next stands there or beyond."""

    change: Change
    _due: list[tuple[float, int, Outcome]] = field(default_factory=list)
    _count: int = 0

    def at(self, now: float) -> None:
        self.now = now
        while self._due and self._due[0][0] <= now:
            at = self._due[0][0]
            some = []
            while self._due and self._due[0][0] == at:
                some.append(heapq.heappop(self._due)[-1])
            self.door.at(at)
            self.door.report(some)
        self.door.at(now)

    def report(self, outcomes: Sequence[Outcome]) -> None:
        if self.now < self.since:
            self.door.report(outcomes)
            return
        at_once = []
        for outcome in outcomes:
            for at, one in self.change(self.now, outcome):
                if at <= self.now:
                    at_once.append(one)
                else:
                    heapq.heappush(self._due, (at, self._count, one))
                    self._count += 1
        if at_once:
            self.door.report(at_once)


def sent_again(times: int, apart: float) -> Change:
    """Each outcome is sent so many times in all, under its own id, `apart` s after each other."""
    return lambda now, one: [(now + apart * n, one) for n in range(times)]


def under_other_ids(now: float, one: Outcome) -> list[tuple[float, Outcome]]:
    """A caller that makes a new id whenever it sends, and sends twice: the join cannot know."""
    return [(now, one), (now, replace(one, outcome_id=f"{one.outcome_id}, again"))]


def late_by(seconds: float) -> Change:
    """Each outcome comes so much later."""
    return lambda now, one: [(now + seconds, one)]
