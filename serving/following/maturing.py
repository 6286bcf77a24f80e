"""Decisions that wait until all that may come of them has come: the join of a log that is read on.

What counts is what `serving.joining` counts, decision by decision: a session need not be over.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.following.remembered import Remembered
from serving.joining.matching import in_time, order_of, outcome_order
from serving.joining.rule import JoinRule

KEPT_FOR = 2.0  # times the longest window for which ids of what is over are known: a decision or an
# outcome that is sent again after that is taken for a new one


@dataclass(frozen=True, slots=True)
class Waiting:
    """Of a decision, what its outcomes are matched to and counted by."""

    decision_id: str
    time: float
    user: str
    session_key: str
    step: int
    slate: tuple[int, ...]
    arm: str
    rollout: str

    @classmethod
    def of(cls, decision: Decision) -> Waiting:
        """Of what the log holds."""
        return cls(*(getattr(decision, name) for name in cls.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Mature:
    """A decision of which all outcomes are known."""

    decision: Waiting
    outcomes: tuple[OutcomeEvent, ...]  # by time


class Maturing:
    """Give it events in any order and however often; it gives each decision back once, when the
    longest window of the rule has passed. Memory holds what waits, and ids of what is over."""

    def __init__(self, rule: JoinRule) -> None:
        self.rule = rule
        self.counts: Counter[str] = Counter()  # as `sort_events` counts them
        self._decisions: list[tuple[Any, ...]] = []  # heaps of (order ..., nth, what)
        self._outcomes: list[tuple[Any, ...]] = []
        self._own: dict[str, list[OutcomeEvent]] = defaultdict(list)  # by decision_id, by time
        self._over = Remembered(KEPT_FOR * rule.longest)  # decisions and steps of sessions
        self._told = Remembered((1 + KEPT_FOR) * rule.longest)  # outcomes
        self._waiting: Counter[str] = Counter()  # ids of decisions that wait, or may yet
        self._nth, self._dropped = 0, -math.inf

    def __len__(self) -> int:
        """Decisions that wait."""
        return len(self._decisions)

    def add_decision(self, decision: Decision) -> bool:
        """Whether it is new, by its id."""
        known = decision.decision_id in self._waiting or decision.decision_id in self._over
        self._push(self._decisions, order_of(decision), Waiting.of(decision))
        self._waiting[decision.decision_id] += 1
        return not known

    def add_outcome(self, outcome: OutcomeEvent) -> None:
        """Of any decision: those of decisions that never come are let go after their window."""
        self._push(self._outcomes, outcome_order(outcome), outcome)

    def mature(self, now: float) -> list[Mature]:
        """Decisions whose windows have passed at `now` (s) and that were not given back before, by
        their times."""
        self._sort_outcomes(now)
        over = []
        while self._decisions and now > self._decisions[0][0] + self.rule.longest:
            waiting: Waiting = heapq.heappop(self._decisions)[-1]
            self._waiting[waiting.decision_id] -= 1
            if not self._waiting[waiting.decision_id]:
                del self._waiting[waiting.decision_id]
            if self._is_first(waiting):
                own = self._own.pop(waiting.decision_id, [])
                kept = in_time(waiting, sorted(own, key=outcome_order), self.rule, self.counts)
                over.append(Mature(waiting, kept))
        self.counts["decisions"] += len(over)
        self._drop_orphans(now)
        self._over.forget(now)
        self._told.forget(now)
        return over

    def _sort_outcomes(self, now: float) -> None:
        """Each outcome before `now` to its decision, the earliest of an id."""
        while self._outcomes and self._outcomes[0][0] < now:
            outcome: OutcomeEvent = heapq.heappop(self._outcomes)[-1]
            if outcome.outcome_id in self._told:
                self.counts["repeated_outcomes"] += 1
                continue
            self._told.add(outcome.outcome_id, outcome.time)
            if outcome.decision_id in self._over:
                self.counts["late_outcomes"] += 1
            else:
                self._own[outcome.decision_id].append(outcome)

    def _is_first(self, one: Waiting) -> bool:
        """Not the second of an id, nor of a step of a session; it stands from now on."""
        step = f"{one.session_key}\0{one.step}"
        if one.decision_id in self._over or step in self._over:
            self.counts["repeated_decisions"] += 1
            return False
        self._over.add(one.decision_id, one.time)
        self._over.add(step, one.time)
        return True

    def _drop_orphans(self, now: float) -> None:
        if now < self._dropped + self.rule.longest / 10:
            return
        self._dropped = now
        old = [
            decision_id
            for decision_id, some in self._own.items()
            if decision_id not in self._waiting
            and max(one.time for one in some) + self.rule.longest < now
        ]
        for decision_id in old:
            self.counts["orphaned_outcomes"] += len(self._own.pop(decision_id))

    def _push(self, heap: list[tuple[Any, ...]], order: Iterable[Any], what: object) -> None:
        self._nth += 1
        heapq.heappush(heap, (*order, self._nth, what))
