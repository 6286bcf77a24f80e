"""Cost of a policy as a share of another's, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Share(NamedTuple):
    """A ratio to the full model, with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}]"


def cost_share(cost: Sequence[float], full: Sequence[float], level: float) -> Share:
    """Median of the ratios of the rounds, between the ranks that hold it with this confidence
    (order statistics; David & Nagaraja 2003, section 7.1)."""
    ratios = np.sort(np.array(cost) / np.array(full))
    n, z = len(ratios), NormalDist().inv_cdf(0.5 + level / 2)
    low = max(int(np.floor((n - z * n**0.5) / 2)), 0)
    high = min(int(np.ceil(1 + (n + z * n**0.5) / 2)), n) - 1
    return Share(float(np.median(ratios)), float(ratios[low]), float(ratios[high]))
