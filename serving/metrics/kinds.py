"""What a signal is, and the statistics that indicators are read by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from serving.metrics import estimates
from serving.metrics.estimates import Estimate
from serving.metrics.sums import F64, Sums

Kind = Literal["counter", "histogram", "summary", "gauge", "state"]
Statistic = Callable[[Sums, float], Estimate | None]  # of sums over so many seconds; None = no data
Op = Literal["<=", ">=", "="]


@dataclass(frozen=True, slots=True)
class Sli:
    """One number that is watched."""

    name: str
    title: str
    unit: str
    help: str
    of: Statistic
    op: Op = "<="
    target: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One thing that is summed: a series, and the indicators that are read off it."""

    name: str  # of the series, without the unit's suffix
    measure: str  # M1, M2 ... of the list of service level indicators; "" = none
    kind: Kind
    unit: str  # suffix of the series; "" = none
    help: str
    label: str = ""  # its one label; values are of a small fixed set
    fixed: tuple[tuple[str, str], ...] = ()  # labels that never change
    edges: F64 | None = None  # (E,) of a histogram
    slis: tuple[Sli, ...] = ()


def quantile_of(
    signal: str, edges: F64, q: float, scale: float, sums: Sums, seconds: float
) -> Estimate | None:
    """The q-quantile of a histogram, times `scale`."""
    counts = sums.histograms.get(signal)
    found = None if counts is None else estimates.quantile(counts[:-1], edges, q)
    if found is None:
        return None
    return Estimate(scale * found.value, found.n, scale * found.low, scale * found.high)


def share_of(
    signal: str, labels: tuple[str, ...], among: tuple[str, ...], sums: Sums, seconds: float
) -> Estimate | None:
    """Counts with some labels, of those with labels among which they are."""
    return estimates.share(sums.count(signal, *labels), sums.count(signal, *among))


def mean_of(signal: str, level: float, sums: Sums, seconds: float) -> Estimate | None:
    """The mean of a summary."""
    return estimates.mean(sums.moments.get(signal, np.zeros(3)), level)


def per_second(signal: str, sums: Sums, seconds: float) -> Estimate | None:
    """A counter's rate."""
    n = sums.count(signal)
    return estimates.exact(n / seconds, n) if seconds > 0 else None


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
