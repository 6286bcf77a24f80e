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
    """Sums of reward and sessions per user, of every stage and of the parts of the present one."""

    def __init__(self, point: F64, rule: RolloutRule) -> None:
        self.point, self.rule = point, rule
        self.weights: list[float] = []
        self.stages: list[F64] = []  # (2, U) each
        self.parts: dict[int, F64] = {}  # of the present stage, each `recent_seconds` long
        self.since = 0.0

    def open(self, weight: float, time: float) -> None:
        """A stage begins."""
        self.weights.append(weight)
        self.stages.append(np.zeros((2, len(self.point))))
        self.parts, self.since = {}, time

    def add(self, met: Met, begin: float) -> None:
        """What users did in a stretch that began then, inside one part."""
        sums = np.stack([met.paid, met.sessions])
        self.stages[-1] += sums
        part = int((begin - self.since) // self.rule.recent_seconds)
        self.parts[part] = self.parts.get(part, 0) + sums

    def window(self, time: float, hard: Shares) -> Window:
        """What a look sees now."""
        rule, weight, stage = self.rule, self.weights[-1], self.stages[-1]
        now = int((time - self.since) // rule.recent_seconds)
        recent = self.parts.get(now - 1, 0) + self.parts.get(now, np.zeros_like(stage))
        alone = self._units([stage], [weight])
        users = [int(x) for x in np.bincount(alone.canary, minlength=2)]
        every = alone if len(self.stages) == 1 else self._units(self.stages, self.weights)
        return Window(
            time=time,
            weight=weight,
            canary=ArmSeen(users=users[1], silent_seconds=0.0),
            control=ArmSeen(users=users[0], silent_seconds=0.0),
            rollout=seen(every, rule, "rollout", weight),
            stage=seen(alone, rule, "stage", weight),
            recent=seen(self._units([recent], [weight]), rule, "recent", weight),
            recent_from=self.since + max(now - 1, 0) * rule.recent_seconds,
            hard=hard,
            sample_ratio_p=sample_ratio(users[1], users[0], weight).p_value,
            multiple_exposure=0.0,
        )

    def _units(self, stages: list[F64], weights: list[float]) -> TrialUnits:
        """Rows of one user stand together."""
        sums = np.stack(stages, axis=-1)  # (2, U, S)
        there = sums[1] > 0
        user, stage = np.nonzero(there)
        canary: NDArray[np.bool_] = self.point[user] < np.asarray(weights)[stage]
        total = sums[:, there].T
        return TrialUnits(user, canary, stage, total, total[:, 1], NAMES)
