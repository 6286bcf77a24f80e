"""What decisions of an arm or a shadow come to as they are read: the numbers of hard stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision
from serving.contracts.shadows import ShadowEvent
from serving.following.weights import FirstPlaceWeights, SlateWeights
from serving.hashes import rules_hash
from serving.metrics.decision_sums import sums_of_decisions
from serving.metrics.estimates import quantile
from serving.metrics.sums import Sums, histogram_of
from serving.metrics.table.series import DURATION, SECONDS

F64 = NDArray[np.float64]
TOGETHER = 64  # decisions are summed so many at a time
MOST = 2_000  # minutes that are kept between two looks
FAILED = ("policy", "rule", "event_log", "other")  # classes of fallbacks that are errors
SLOW = ("longplay_rollout_slow", "")
SHADOW = "longplay_shadow"


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts, and bounds of the mean weight, which is 1 where propensities are what was played."""

    decisions: int
    errors: int
    fallbacks: int | None
    slow: int
    p99_ms: float | None
    violations: int | None  # None: of slates whose rules are not known
    mean_weight_low: float | None
    mean_weight_high: float | None


class ArmSums:
    """Sums of an arm over the last minutes and over all.

    slow_ms: decisions that took longer are counted as slow. minutes: how long the last minutes are,
        and longer where nobody counted in between. rules: which slates are audited by, as
        `serving.metrics` does; of slates under none, that is always known.
    """

    def __init__(self, slow_ms: float, minutes: int, rules: Sequence[tuple[Rule, ...]]) -> None:
        self.slow_ms, self._last, self._newest = slow_ms, -math.inf, -math.inf  # s
        self.total = Sums()
        self.minutes: dict[int, Sums] = {}  # by the minute of decisions
        self._n_minutes, self._counted = minutes, math.inf  # minute of the last count
        self._rules = {rules_hash(some): some for some in ((), *rules)}
        self.weights = FirstPlaceWeights()
        self._waiting: list[Decision] = []

    def add(self, decision: Decision) -> None:
        """Count a decision."""
        self._newest = max(self._newest, decision.time)
        self._waiting.append(decision)
        if len(self._waiting) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Sum what waits for company."""
        by_minute: dict[int, list[Decision]] = {}
        for one in self._waiting:
            by_minute.setdefault(int(one.time // 60), []).append(one)
            self.weights.add(one)
        self._waiting = []
        for minute, some in by_minute.items():
            slow = sum(one.waited_ms + one.worked_ms > self.slow_ms for one in some)
            sums = sums_of_decisions(some, rules=self._rules) + Sums({SLOW: float(slow)})
            sums = replace(sums, shown=sums.shown[:0])
            self.total += sums
            self.minutes[minute] = self.minutes.get(minute, Sums()) + sums
        if len(self.minutes) > MOST:
            self.minutes = dict(sorted(self.minutes.items())[-MOST // 2 :])

    def last(self, now: float) -> float:
        """Time (s) of the last decision, at most `now`: none comes from the future, and a clock
        that ran ahead does not hide that nothing comes any more."""
        self._last, self._newest = min(max(self._last, self._newest), now), -math.inf
        return self._last

    def counted(self, now: float, level: float) -> Counted:
        """Of the last minutes, and of all since the last count; violations and weights of all.
        level: of the weight's bounds."""
        self.flush()
        minute = int(now // 60)
        first = min(minute - self._n_minutes + 1, self._counted)
        self._counted = minute
        self.minutes = {minute: sums for minute, sums in self.minutes.items() if minute >= first}
        recent = reduce(add, self.minutes.values(), Sums())
        low, high = self.weights.bounds(level)
        broken = int(self.total.count("longplay_violations"))
        audited = not self.total.count("longplay_unaudited")
        return Counted(
            decisions=int(recent.count("longplay_requests")),
            errors=int(recent.count("longplay_fallbacks", *FAILED)),
            fallbacks=int(recent.count("longplay_fallbacks")),
            slow=int(recent.count(*SLOW)),
            p99_ms=p99_of(recent.histograms.get(DURATION)),
            violations=broken if broken or audited else None,
            mean_weight_low=low,
            mean_weight_high=high,
        )


class ShadowSums:
    """The same of a shadow, since it began."""

    def __init__(self, slow_ms: float) -> None:
        self.slow_ms, self.sums, self.weights = slow_ms, Sums(), SlateWeights()

    def add(self, events: Sequence[ShadowEvent]) -> None:
        """Count what a shadow would have done."""
        made = [one for one in events if one.error is None]
        worked = np.array([one.worked_ms / max(1, one.together) for one in made])
        for one in events:
            if one.propensity is not None:
                self.weights.add(one.propensity, one.live_propensity)
        errors = sum(one.error is not None for one in events)
        self.sums += Sums(
            {(SHADOW, "made"): len(events) - errors, (SHADOW, "failed"): errors,
             SLOW: float((worked > self.slow_ms).sum())},
            {DURATION: histogram_of(worked / 1e3, SECONDS)},
        )  # fmt: skip

    def counted(self, level: float) -> Counted:
        """Since it began."""
        low, high = self.weights.bounds(level)
        return Counted(
            decisions=int(self.sums.count(SHADOW)),
            errors=int(self.sums.count(SHADOW, "failed")),
            fallbacks=None,
            slow=int(self.sums.count(*SLOW)),
            p99_ms=p99_of(self.sums.histograms.get(DURATION)),
            violations=None,
            mean_weight_low=low,
            mean_weight_high=high,
        )


def p99_of(histogram: F64 | None) -> float | None:
    """ms that 99 of 100 stay below, of a histogram (E + 2,) over SECONDS."""
    found = None if histogram is None else quantile(histogram[:-1], SECONDS, 0.99)
    return None if found is None else 1e3 * found.value
