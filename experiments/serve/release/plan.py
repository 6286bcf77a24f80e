"""How long a rollout takes at the traffic that a log saw, and what it can cost. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offpolicy.intervals.bounds import sequence_radius
from offpolicy.trials.size import Past
from serving.rollout.rule import RolloutRule
from serving.rollout.soft import RECENT_ERRORS

F64 = NDArray[np.float64]
DAY = 86_400.0
GRID = 4_000  # moments of a stage that are looked at
WORSE = (2.0, 3.0, 5.0, 10.0, 30.0)  # losses of a canary, in margins; nearer to the margin it is
# told from a good one ever later, and there it costs little more than is allowed


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes in a day, and how it varies."""

    users: float  # a day
    sessions: float  # a day
    past: Past  # of the goal's metric


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage of a canary that is as good as control, where its bounds shrink as they should."""

    share: float
    days: float | None  # None: at this traffic it is left by chance alone, or not in time
    users: float  # a day, that get the canary
    why: str  # what takes the time


@dataclass(frozen=True, slots=True)
class WorstLoss:
    """The canary that costs most before it is stopped."""

    worse: float  # as a share of control
    days: float  # until it is stopped
    stage: float  # share of users at which that is
    sessions: float  # whose whole value is lost


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollout before it begins."""

    stages: tuple[StagePlan, ...]
    worst: WorstLoss | None  # None where none is stopped in the planned time


def plan_rollout(rule: RolloutRule, traffic: Traffic) -> Plan:
    """The rollout of a canary whose difference is seen without noise, with the bounds of the past's
    variance: one canary in two takes longer."""
    course = _Course(rule, traffic)
    losses = [course.loss(min(1.0, times * rule.margin)) for times in WORSE]
    return Plan(course.stages(), max(filter(None, losses), key=lambda x: x.sessions, default=None))


@dataclass(frozen=True, slots=True)
class _Course:
    rule: RolloutRule
    traffic: Traffic

    def half(self, effective: F64, scope_level: float, tuned_at: float) -> F64:
        """Half a width of the bounds, as a share of control, at so many effective sessions."""
        past, n = self.traffic.past, np.maximum(effective, 1e-9)
        each = 1.0 if past.per == "session" else past.sessions
        error = np.sqrt(past.variance * past.sessions / n) / abs(past.mean.value)
        return np.asarray(sequence_radius(n * each / tuned_at, 1 - scope_level) * error)

    def stages(self) -> tuple[StagePlan, ...]:
        """Each of them in turn."""
        out, before = [], 0.0
        for nth, share in enumerate(self.rule.stages[:-1]):
            seconds, why = self._leaves(nth, before, 0.0)
            days = None if seconds is None else seconds / DAY
            out.append(StagePlan(share, days, share * self.traffic.users, why))
            if seconds is None:
                break
            before += self._rate(share) * seconds
        return tuple(out)

    def loss(self, worse: float) -> WorstLoss | None:
        """What a canary costs that is worse by this share, until a soft stop ends it."""
        rule, before, days, lost = self.rule, 0.0, 0.0, 0.0
        for nth, share in enumerate(rule.stages[:-1]):
            t = self._moments()
            rate, sessions = self._rate(share), share * self.traffic.sessions / DAY
            alone = rule.tuned_for("stage", share)
            far = self.half(before + rate * t, self._level("rollout"), rule.tuned_at)
            near = self.half(rate * t, self._level("stage"), alone)
            stop = np.flatnonzero(np.minimum(far, near) < worse - rule.margin)
            leave, _ = self._leaves(nth, before, worse)
            end = float(t[stop[0]]) if len(stop) else math.inf
            if end <= (math.inf if leave is None else leave):
                if math.isinf(end):
                    return None  # a person decides
                lost += worse * sessions * end
                return WorstLoss(worse, (days + end) / DAY, share, lost)
            assert leave is not None
            lost, days, before = (
                lost + worse * sessions * leave,
                days + leave,
                before + rate * leave,
            )
        return None

    def _leaves(self, nth: int, before: float, worse: float) -> tuple[float | None, str]:
        """Seconds until a stage is left, and what takes them."""
        rule, t = self.rule, self._moments()
        share, after = rule.stages[nth], rule.stages[nth + 1]
        rate = self._rate(share)
        users = min(share, 1 - share) * self.traffic.users / DAY
        most = rule.margin * (1.0 if after == 1 else rule.interim) / after
        half = self.half(before + rate * t, self._level("rollout"), rule.tuned_at)
        last = rule.recent_seconds * rate
        each = self.traffic.past.variance * self.traffic.past.sessions
        recent = math.sqrt(each / max(last, 1e-9)) / abs(self.traffic.past.mean.value)
        if RECENT_ERRORS * recent + worse > most:
            return None, "its recent part is too small: left by chance alone"
        sure = np.flatnonzero(half + worse <= most)
        waits = {
            "its least time": max(rule.least_of(nth), rule.recent_seconds),
            "its least users": rule.least_users / users if users > 0 else math.inf,
            "the width of its bounds": float(t[sure[0]]) if len(sure) else math.inf,
        }
        why = max(waits, key=lambda name: waits[name])
        return (None if waits[why] > rule.most_seconds else waits[why]), why

    def _rate(self, share: float) -> float:
        """Effective sessions a second."""
        return share * (1 - share) * self.traffic.sessions / DAY

    def _level(self, scope: str) -> float:
        return self.rule.level_of(self.rule.metric, "rollout" if scope == "rollout" else "stage")

    def _moments(self) -> F64:
        return np.linspace(0.0, self.rule.most_seconds, GRID)[1:]
