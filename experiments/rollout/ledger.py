"""Sums per user of a rollout's sessions, and the window that a look at them gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.rollout.traffic import F64, Met
from offpolicy.trials.exposure import sample_ratio
from offpolicy.trials.units import TrialUnits
from serving.rollout.rule import RolloutRule
from serving.rollout.seen import seen
from serving.rollout.window import ArmSeen, Shares, Window

NAMES = ("reward", "sessions")


class Ledger:
    """Sums of reward and sessions of U users in each of S stages, and in parts of the present one,
    each `recent_seconds` long."""

    def __init__(self, point: F64, rule: RolloutRule) -> None:
        self.point, self.rule = point, rule
        shape = len(point), len(rule.stages) - 1
        self.sums = np.zeros((*shape, 2))  # (U, S, 2)
        self.canary = np.zeros(shape, np.bool_)
        self.opened, self.weight, self.since = 0, 0.0, 0.0
        self.parts: dict[int, F64] = {}  # (U, 2)

    def open(self, weight: float, time: float) -> None:
        """A stage begins."""
        self.canary[:, self.opened] = self.point < weight
        self.opened, self.weight, self.since, self.parts = self.opened + 1, weight, time, {}

    def add(self, met: Met, begin: float) -> None:
        """What users did in a stretch that began then, inside one part."""
        sums = np.stack([met.paid, met.sessions], axis=1)
        self.sums[:, self.opened - 1] += sums
        part = int((begin - self.since) // self.rule.recent_seconds)
        self.parts = {k: x for k, x in self.parts.items() if k >= part - 1}
        self.parts[part] = self.parts.get(part, 0) + sums

    def window(self, time: float, hard: Shares, *, compare: bool = True) -> Window:
        """What a look sees now; without the recent part while the stage is too young to be left,
        when nothing is asked of it."""
        rule, weight, stage = self.rule, self.weight, slice(self.opened - 1, self.opened)
        now = int((time - self.since) // rule.recent_seconds)
        recent = sum(x for part, x in self.parts.items() if part >= now - 1)
        alone = self._units(self.sums[:, stage], self.canary[:, stage])
        old = compare and time - self.since >= rule.least_of(self.opened - 1)
        every, late = alone, alone
        if stage.start and compare:
            every = self._units(self.sums[:, : self.opened], self.canary[:, : self.opened])
        if old:
            late = self._units(np.asarray(recent)[:, None], self.canary[:, stage])
        canary = int(alone.canary.sum())
        control = len(alone) - canary
        return Window(
            time=time,
            weight=weight,
            canary=ArmSeen(users=canary, silent_seconds=0.0),
            control=ArmSeen(users=control, silent_seconds=0.0),
            rollout=seen(every, rule, "rollout", weight) if compare else {},
            stage=seen(alone, rule, "stage", weight) if compare else {},
            recent=seen(late, rule, "recent", weight) if old else {},
            recent_from=self.since + max(now - 1, 0) * rule.recent_seconds,
            hard=hard,
            sample_ratio_p=sample_ratio(canary, control, weight).p_value,
            multiple_exposure=0.0,
        )

    def _units(self, sums: F64, canary: NDArray[np.bool_]) -> TrialUnits:
        """(U, S, 2) and (U, S); the rows of one user stand together."""
        stages = canary.shape[1]
        at = np.flatnonzero(sums[:, :, 1] > 0)
        total = sums.reshape(-1, 2)[at]
        return TrialUnits(
            at // stages, canary.reshape(-1)[at], at % stages, total, total[:, 1], NAMES
        )
