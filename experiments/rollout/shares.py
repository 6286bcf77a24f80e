"""Cost and value of a policy as shares of another's, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


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


def value_share(rewards: F64, full: F64, level: float) -> Share:
    """Mean reward of sessions (S,) over that of the full model for the same users, by the delta
    method for a ratio of means."""
    value = float(rewards.mean() / full.mean())
    psi = (rewards - value * full) / full.mean()
    half = NormalDist().inv_cdf(0.5 + level / 2) * float(psi.std(ddof=1)) / len(psi) ** 0.5
    return Share(value, value - half, value + half)
