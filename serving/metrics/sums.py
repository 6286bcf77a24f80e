"""Sums of what happened, by the name of a signal; those of two stretches of time add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
BINS = 2**16  # of items shown: those of a larger catalogue share bins, and seem less diverse

K = TypeVar("K")
V = TypeVar("V", float, F64)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What decisions, outcomes and refusals of any stretch of time come to."""

    counts: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (signal, label)
    histograms: Mapping[str, F64] = field(default_factory=dict)  # (E + 2,): values in each bin of
    # E edges, above the last one, and their total
    moments: Mapping[str, F64] = field(default_factory=dict)  # (3,): n, sum, sum of squares
    shown: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # (A,) how often each item
    # was, as far as any was

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            _added(self.counts, other.counts),
            _added(self.histograms, other.histograms),
            _added(self.moments, other.moments),
            _padded(self.shown, other.shown),
        )

    def count(self, signal: str, *labels: str) -> float:
        """How often, of these labels or of all."""
        if labels:
            return sum(self.counts.get((signal, label), 0.0) for label in labels)
        return sum(n for (name, _), n in self.counts.items() if name == signal)


def moments_of(values: F64) -> F64:
    """(3,) n, sum and sum of squares."""
    return np.array([len(values), values.sum(), values @ values])


def histogram_of(values: F64, edges: F64) -> F64:
    """(E + 2,): values up to each edge (E,) and above that before it, above all, and the total."""
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return np.append(counts.astype(np.float64), values.sum())


def shown_of(items: I64) -> I64:
    """How often each item was shown."""
    counts: I64 = np.bincount(items % BINS)
    return counts


def undiverse(sums: Sums) -> Sums:
    """Without the items: diversity is of a window alone."""
    return replace(sums, shown=sums.shown[:0])


def _added(some: Mapping[K, V], others: Mapping[K, V]) -> dict[K, V]:
    out = dict(some)
    for name, value in others.items():
        out[name] = out[name] + value if name in out else value
    return out


def _padded(a: I64, b: I64) -> I64:
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    out = long.copy()
    out[: len(short)] += short
    return out
