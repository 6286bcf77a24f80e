"""The metrics of a server: told of decisions, outcomes and refusals, read by its routes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.hashes import rules_hash
from serving.metrics.arms import NOBODY, Arm, ArmSums
from serving.metrics.awaited import Awaited
from serving.metrics.decision_sums import is_logged, sums_of_decisions, sums_of_outcomes
from serving.metrics.slis import slis_of
from serving.metrics.state import State
from serving.metrics.sums import Sums
from serving.metrics.text.prometheus import exposition
from serving.metrics.window import Window

TOGETHER = 64  # decisions of an arm are summed so many at a time, or when somebody reads
REFUSALS = 32  # kinds of refusals that are told apart
CALLERS = frozenset(
    ("contract", "method", "path", "rate", "size", "slow", "token", "type", "unauthorized")
)


class Metrics:
    """Sums since the start and over a sliding window; threads wait for each other.

    window: the last minutes that `slis` speaks of.
    within: how long a decision may wait for an outcome to count as known, s.
    clock: of decisions, s. cpu: the process' seconds of work.

    What is counted of decisions is kept by arm and version; that of a fallback's is the version
    in whose place it answered.
    """

    def __init__(
        self,
        *,
        window: Window | None = None,
        within: float = 60.0,
        clock: Callable[[], float] = time.time,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self.clock = clock
        self.state: Callable[[], State] | None = None  # what the server is, whenever that is read
        self._sums = ArmSums(Window() if window is None else window)
        self._awaited = Awaited(within)
        self._started, self._cpu, self._worked = clock(), cpu, cpu()
        self._apart = 1  # arms and versions that were summed last
        self._versions: dict[str, str] = {}  # by the hash of what they are
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
                said = [one for one in decisions if is_logged(one)]
                if len(said) != logged:
                    self._sum()
                    self._moved(said[logged:], 1, now)
                    others = [one for one in decisions if not is_logged(one)]
                    self._moved(others[: max(0, logged - len(said))], -1, now)
            if len(self._waiting) >= TOGETHER * self._apart:
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
            self._sums.add(NOBODY, self.clock(), Sums(counts))

    def sums(self) -> tuple[Sums, Sums, float]:
        """Since the start, over the window, and the window's length in seconds."""
        with self._lock:
            windows, seconds = self._read()
            return self._sums.total(), reduce(add, windows.values()), seconds

    def slis(self) -> dict[str, dict[str, Any]]:
        """The service level indicators over the window, as `serving.metrics.slis.slis_of` says."""
        _, window, seconds = self.sums()
        return slis_of(window, seconds, self._state())

    def arms(self) -> dict[Arm, dict[str, dict[str, Any]]]:
        """The same of each arm and version that answered within the window, where they differ."""
        with self._lock:
            windows, seconds = self._read()
        return {
            arm: slis_of(sums, seconds, by_arm=True)
            for arm, sums in windows.items()
            if arm != NOBODY and sums.count("longplay_decisions")
        }

    def by_label(self, signal: str) -> dict[Arm, dict[str, float]]:
        """A counter over the window, by arm and version and by its label."""
        with self._lock:
            windows, _ = self._read()
        return {
            arm: {label: n for (name, label), n in sums.counts.items() if name == signal}
            for arm, sums in windows.items()
        }

    def text(self) -> bytes:
        """Prometheus' text. Raises ImportError where the extra `serve` is not installed."""
        with self._lock:
            windows, seconds = self._read()
            totals = self._sums.totals()
        return exposition(totals, windows, seconds, self._state())

    def _state(self) -> State | None:
        return None if self.state is None else self.state()

    def _read(self) -> tuple[dict[Arm, Sums], float]:
        self._sum()
        now = self.clock()
        return self._sums.windows(now), self._sums.seconds(now, self._started)

    def _sum(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._awaited.decided(
            one
            for at, one in waiting  # but for those that are answered again, long after
            if one.step >= 0 and at - one.time < self._awaited.within
        )
        parts: dict[tuple[float, Arm], list[Decision]] = {}
        for at, one in waiting:
            parts.setdefault((at // self._sums.width, self._arm(one)), []).append(one)
        self._apart = max(1, len({arm for _, arm in parts}))
        for (stretch, arm), some in parts.items():
            sums = sums_of_decisions(some, rules=self._rules)
            self._sums.add(arm, stretch * self._sums.width, sums)
        came, self._came = self._came, []
        now, worked = self.clock(), self._cpu()
        rest = Sums({("process_cpu", ""): worked - self._worked})
        self._worked = worked
        if came:
            self._awaited.came(one.decision_id for one in came)
            rest += sums_of_outcomes(came)
        self._sums.add(NOBODY, now, rest + self._awaited.over(now))

    def _moved(self, decisions: Sequence[Decision], lost: int, now: float) -> None:
        """Decisions that say that they are logged, and are lost (1), or the other way (-1)."""
        for arm, n in Counter(map(self._arm, decisions)).items():
            counts = {"true": float(-lost * n), "false": float(lost * n)}
            sums = Sums({("longplay_decisions", label): k for label, k in counts.items()})
            self._sums.add(arm, now, sums)

    def _arm(self, one: Decision) -> Arm:
        if one.fallback is None:
            self._versions[one.policy_sha256] = one.policy
            return one.arm, one.policy
        known = self._versions.get(one.policy_sha256)
        if known is None and (state := self._state()) is not None:
            known = state.policy if state.sha256 == one.policy_sha256 else None
        return one.arm, known or one.policy_sha256[:12]
