"""The statistics that indicators are read off sums by."""

from __future__ import annotations

import numpy as np

from serving.metrics import estimates
from serving.metrics.estimates import Estimate
from serving.metrics.sums import F64, Sums

BUSY = 1.0  # decisions a second


def quantile_of(
    signal: str, edges: F64, q: float, scale: float, sums: Sums, seconds: float
) -> Estimate | None:
    """The q-quantile of a histogram, times `scale`."""
    counts = sums.histograms.get(signal)
    found = None if counts is None else estimates.quantile(counts[:-1], edges, q)
    if found is None:
        return None
    return Estimate(scale * found.value, found.n, scale * found.low, scale * found.high)


def within(signal: str, edges: F64, limit: float, sums: Sums, seconds: float) -> Estimate | None:
    """The share of a histogram's values that are no larger than a limit, one of its edges."""
    counts = sums.histograms.get(signal)
    if counts is None:
        return None
    below = float(counts[: int(np.searchsorted(edges, limit)) + 1].sum())
    return estimates.share(below, float(counts[:-1].sum()))


def share_of(
    signal: str, labels: tuple[str, ...], among: tuple[str, ...], sums: Sums, seconds: float
) -> Estimate | None:
    """Counts with some labels, of those with labels among which they are."""
    return estimates.share(sums.count(signal, *labels), sums.count(signal, *among))


def mean_of(
    signal: str, level: float, sums: Sums, seconds: float, *, least: float = 2
) -> Estimate | None:
    """The mean of a summary. Of fewer than `least` values no bound is set: a normal interval of
    few skew ones, as weights are, is wrong far more often than its level says."""
    found = estimates.mean(sums.moments.get(signal, np.zeros(3)), level)
    if found is None or found.n >= least:
        return found
    return Estimate(found.value, found.n, -np.inf, np.inf)


def effective_share(signal: str, sums: Sums, seconds: float) -> Estimate | None:
    """Kish's effective sample size of weights, as a share of them. Kish (1965), section 8.2.

    Its uncertainty takes fourth moments, which are not summed: no bound is set.
    """
    n, total, squares = (float(x) for x in sums.moments.get(signal, np.zeros(3)))
    return Estimate(total**2 / (n * squares), n, -np.inf, np.inf) if squares > 0 else None


def per_second(signal: str, sums: Sums, seconds: float) -> Estimate | None:
    """A counter's rate."""
    n = sums.count(signal)
    return estimates.rate(n, seconds) if seconds > 0 else None


def per_decision(signal: str, scale: float, sums: Sums, seconds: float) -> Estimate | None:
    """What a counter comes to for each decision, times `scale`; None where fewer than BUSY were
    made a second: what the server does without them would count."""
    n = sums.count("longplay_decisions")
    busy = n > 0 and n >= BUSY * seconds
    return estimates.exact(scale * sums.count(signal) / n, n) if busy else None


def count_of(signal: str, sums: Sums, seconds: float) -> Estimate | None:
    """A counter, whatever its labels."""
    return estimates.exact(sums.count(signal), sums.count("longplay_decisions"))


def distinct(sums: Sums, seconds: float) -> Estimate | None:
    """Items that were shown."""
    n = sums.count("longplay_decisions")
    return estimates.exact(int((sums.shown > 0).sum()), n) if n else None


def effective(sums: Sums, seconds: float) -> Estimate | None:
    """Items by the entropy of what was shown."""
    return estimates.effective(sums.shown, sums.count("longplay_decisions"))
