"""Numbers with their uncertainty, from sums that add up: shares, means, quantiles, diversity."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

F64 = NDArray[np.float64]
LEVEL = 0.95


class Estimate(NamedTuple):
    """A value and the interval around it; a bound is infinite where n is too small to tell."""

    value: float
    n: float  # of what it was estimated from
    low: float
    high: float


def exact(value: float, n: float) -> Estimate:
    """A count: nothing is estimated."""
    return Estimate(value, n, value, value)


def share(k: float, n: float, level: float = LEVEL) -> Estimate | None:
    """k of n, with the score interval of a binomial share; None where n is 0. Wilson (1927)."""
    if n <= 0:
        return None
    z2 = _z(level) ** 2
    middle = (k + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * k * (n - k) / n + z2**2 / 4) / (n + z2)
    low = 0.0 if k == 0 else middle - half
    high = 1.0 if k == n else middle + half
    return Estimate(k / n, n, low, high)


def rate(n: float, seconds: float, level: float = LEVEL) -> Estimate:
    """n events in so many seconds, with the score interval of a Poisson count. Garwood (1936) gives
    the exact one; requests that come in sessions vary more than that."""
    z2 = _z(level) ** 2
    half = math.sqrt(z2 * (n + z2 / 4))
    low, high = max(0.0, n + z2 / 2 - half), n + z2 / 2 + half
    return Estimate(n / seconds, n, low / seconds, high / seconds)


def mean(moments: F64, level: float = LEVEL) -> Estimate | None:
    """The mean of n values from (n, sum, sum of squares), with a normal interval."""
    n, total, squares = (float(x) for x in moments)
    if n <= 0:
        return None
    value = total / n
    if n < 2:
        return Estimate(value, n, -math.inf, math.inf)
    variance = max(0.0, squares - n * value**2) / (n - 1)
    half = _z(level) * math.sqrt(variance / n)
    return Estimate(value, n, value - half, value + half)


def quantile(counts: F64, edges: F64, q: float, level: float = LEVEL) -> Estimate | None:
    """The q-quantile of values counted in E + 1 bins: up to each edge (E,), and above the last.

    Linear within its bin. The interval is that of the order statistics, which needs no
    distribution, widened to the edges of their bins: it holds the error of the bins, too.
    David & Nagaraja (2003), section 7.1.
    """
    n = float(counts.sum())
    if n <= 0:
        return None
    reached = np.cumsum(counts)
    lower, upper = np.concatenate([[0.0], edges]), np.concatenate([edges, [math.inf]])
    half = _z(level) * math.sqrt(n * q * (1 - q))

    def bin_of(rank: float) -> int:
        return int(np.searchsorted(reached, rank, side="left"))

    at = bin_of(q * n)
    inside = (q * n - (reached[at] - counts[at])) / counts[at]
    value = lower[at] if math.isinf(upper[at]) else lower[at] + inside * (upper[at] - lower[at])
    first, last = q * n - half, q * n + half
    low = 0.0 if first <= 0 else float(lower[bin_of(first)])
    high = math.inf if last > n else float(upper[bin_of(last)])
    return Estimate(float(value), n, low, high)


def effective(shown: NDArray[np.int64], slates: float, level: float = LEVEL) -> Estimate | None:
    """exp of the entropy of what was shown: as many items, all shown equally often, would be as
    diverse. Hill (1973), order 1.

    shown: (A,) how often each item was. The interval is that of the plug-in entropy by the delta
    method; a slate counts as one draw, which makes it wide rather than narrow.
    """
    total = float(shown.sum())
    if total <= 0:
        return None
    p = shown[shown > 0] / total
    surprise = -np.log(p)
    entropy = float(p @ surprise)
    variance = max(0.0, float(p @ surprise**2) - entropy**2)
    half = _z(level) * math.sqrt(variance / slates)
    low, high = (math.exp(entropy + sign * half) for sign in (-1, 1))
    return Estimate(math.exp(entropy), slates, low, high)


def _z(level: float) -> float:
    return float(ndtri(0.5 + level / 2))
