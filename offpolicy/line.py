"""A line of a report: one estimator's value and uplift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.gamma import Unseen
from offpolicy.intervals.inference import Interval


@dataclass(frozen=True, slots=True)
class Line:
    """One estimator's value, its uplift over the logging policy, and its settings."""

    estimator: str
    value: Interval
    uplift: Interval  # over the logging policy, paired on the same rows
    settings: Mapping[str, float]
    influence: Estimate | None = field(default=None, repr=False, compare=False)  # of the uplift
    unseen: Unseen = (0.0, 0.0)  # influences on the uplift that the log may have missed

    @property
    def biased(self) -> bool:
        """Weights were cut or shrunk; the interval was moved out by the bound on the bias."""
        return self.value.bias != (0.0, 0.0)
