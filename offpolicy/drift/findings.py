"""One finding of a drift report, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Drift(StrEnum):
    """How serious."""

    NONE = "none"
    NOTED = "noted"  # something moved, and neither value nor overlap did
    ALARM = "alarm"
    CANNOT_TELL = "cannot tell"


class Act(StrEnum):
    """What to do."""

    NOTHING = "nothing"
    WATCH = "watch"
    EXPLORE = "log more exploration"
    RETRAIN = "retrain"
    ROLL_BACK = "roll back"
    CHECK = "check the pipeline"


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """What one comparison of a recent log with a reference gave."""

    subject: str  # inputs, propensities, outcomes or segments
    what: str
    statistic: str
    value: float
    threshold: float  # what the statistic, or its size, must pass; it knows how much was logged
    level: Drift
    counts: bool  # value or overlap moved
    act: Act
    action: str  # in words
    low: float | None = None  # of the value, where it is an estimate
    high: float | None = None
    p_value: float | None = None
    detail: str = ""

    def __str__(self) -> str:
        bounds = "" if self.low is None else f" [{self.low:.4g}, {self.high:.4g}]"
        p = "" if self.p_value is None else f", p = {self.p_value:.2g}"
        more = f"; {self.detail}" if self.detail else ""
        return (
            f"{self.what}: {self.statistic} {self.value:.4g}{bounds}, threshold "
            f"{self.threshold:.3g}{p}{more}"
        )
