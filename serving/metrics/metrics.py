"""The metrics of a server: told of decisions, outcomes and refusals, read by its routes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.hashes import rules_hash
from serving.metrics.awaited import Awaited
from serving.metrics.decision_sums import is_logged, sums_of_decisions, sums_of_outcomes
from serving.metrics.prometheus import exposition
from serving.metrics.slis import slis_of
from serving.metrics.state import State
from serving.metrics.sums import Sums
from serving.metrics.window import Window

TOGETHER = 64  # decisions are summed so many at a time, or when somebody reads
REFUSALS = 32  # kinds of refusals that are told apart
CALLERS = frozenset(
    ("contract", "method", "path", "rate", "size", "slow", "token", "type", "unauthorized")
)


class Metrics:
    """Sums since the start and over a sliding window; threads wait for each other.

    window: the last minutes that `slis` speaks of.
    within: how long a decision may wait for an outcome to count as known, s.
    clock: of decisions, s.
    """

    def __init__(
        self,
        *,
        window: Window | None = None,
        within: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.state: Callable[[], State] | None = None  # what the server is, whenever that is read
        self._window = Window() if window is None else window
        self._awaited = Awaited(within)
        self._total, self._started = Sums(), clock()
        self._rules: dict[str, tuple[Rule, ...]] = {}  # by the hash that decisions carry
        self._waiting: list[tuple[float, Decision]] = []  # and when they were answered, s
        self._came: list[Outcome | OutcomeEvent] = []
        self._refusals = set[str]()
        self._lock = threading.Lock()

    def under(self, rules: tuple[Rule, ...]) -> None:
        """Audit decisions that are under these rules; call it for those of every policy served."""
        with self._lock:
            self._rules[rules_hash(rules)] = rules

    def decided(self, decisions: Sequence[Decision], *, logged: int | None = None) -> None:
        """Count answers. logged: how many of them the event log holds; None: what they say."""
        with self._lock:
            now = self.clock()
            self._waiting += [(now, one) for one in decisions]
            if logged is not None:
                missing = sum(map(is_logged, decisions)) - logged
                moved = {("longplay_decisions", "true"): -missing,
                         ("longplay_decisions", "false"): missing}  # fmt: skip
                if missing:
                    self._add(now, Sums({k: float(n) for k, n in moved.items()}))
            if len(self._waiting) >= TOGETHER:
                self._sum()

    def outcomes(self, outcomes: Sequence[Outcome] | Sequence[OutcomeEvent]) -> None:
        """Count outcomes that were logged, as a caller sent them or as the log keeps them."""
        with self._lock:
            self._came += outcomes
            if len(self._came) >= TOGETHER:
                self._sum()

    def rejected(self, why: int | str) -> None:
        """Count a request that was refused. why: the status code of the answer, or a word of a
        small fixed set; 4xx and CALLERS are the caller's fault, all else is the server's."""
        with self._lock:
            kind = str(why)
            if kind not in self._refusals and len(self._refusals) >= REFUSALS:
                kind = "other"
            self._refusals.add(kind)
            theirs = kind in CALLERS or (kind.isdecimal() and 400 <= int(kind) < 500)
            result = "refused" if theirs else "failed"
            counts = {("longplay_requests", result): 1.0, ("longplay_refusals", kind): 1.0}
            self._add(self.clock(), Sums(counts))

    def sums(self) -> tuple[Sums, Sums, float]:
        """Since the start, over the window, and the window's length in seconds."""
        with self._lock:
            self._sum()
            now = self.clock()
            return self._total, self._window.total(now), self._window.seconds(now, self._started)

    def slis(self) -> dict[str, dict[str, Any]]:
        """The service level indicators over the window, as `serving.metrics.slis.slis_of` says."""
        _, window, seconds = self.sums()
        return slis_of(window, seconds)

    def text(self) -> bytes:
        """Prometheus' text. Raises ImportError where the extra `serve` is not installed."""
        return exposition(*self.sums(), None if self.state is None else self.state())

    def _sum(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._awaited.decided(
            one
            for at, one in waiting  # but for those that are answered again, long after
            if one.step >= 0 and at - one.time < self._awaited.within
        )
        for stretch, some in groupby(waiting, lambda each: each[0] // self._window.width):
            decisions = [one for _, one in some]
            self._add(stretch * self._window.width, sums_of_decisions(decisions, rules=self._rules))
        came, self._came = self._came, []
        if came:
            self._awaited.came(one.decision_id for one in came)
            self._add(self.clock(), sums_of_outcomes(came))
        self._add(self.clock(), self._awaited.over(self.clock()))

    def _add(self, time: float, sums: Sums) -> None:
        self._total += replace(sums, shown=sums.shown[:0])  # diversity is of a window alone
        self._window.add(time, sums)
