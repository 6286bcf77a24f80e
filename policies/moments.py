"""Means and spreads of all that was seen so far, whatever batches it came in.

Centred sums, merged by Chan, Golub & LeVeque (1983): neither the unit of the numbers nor an offset
that they share costs digits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
NOISE = 1e-14  # of a number: spreads below it are the number's own rounding


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Of D numbers that were seen equally often, or of A numbers each with a count of its own."""

    count: F64  # () or (A,)
    mean: F64  # (D,) or (A,)
    deviation: F64  # the same: sum of squared deviations from the mean

    @classmethod
    def none(cls, size: int, *, own_counts: bool = False) -> Self:
        """Nothing seen."""
        zero = np.zeros(size)
        return cls(zero if own_counts else np.zeros(()), zero, zero)

    @classmethod
    def of(cls, rows: NDArray[np.floating]) -> Self:
        """Of the columns of rows (N, D)."""
        n = len(rows)
        if n == 0:
            return cls.none(rows.shape[1])
        mean = rows.mean(axis=0, dtype=np.float64)
        off = rows - mean.astype(rows.dtype)
        rest = off.mean(axis=0, dtype=np.float64)
        squares = np.square(off).sum(axis=0, dtype=np.float64) - n * rest**2
        return cls(np.asarray(float(n)), mean + rest, np.maximum(squares, 0.0))

    @classmethod
    def by_group(cls, group: NDArray[np.integer], values: F64, size: int) -> Self:
        """Of values (M,) in each of `size` groups; a group of -1 is left out."""
        known = group >= 0
        group, values = group[known], values[known]
        count = np.bincount(group, minlength=size).astype(np.float64)
        pivot = values.mean() if len(values) else 0.0
        sums = np.bincount(group, values - pivot, minlength=size)
        mean = np.where(count > 0, pivot + sums / np.maximum(count, 1.0), 0.0)
        squares = np.bincount(group, np.square(values - mean[group]), minlength=size)
        return cls(count, mean, squares.astype(np.float64))

    def plus(self, other: Moments) -> Moments:
        """Of both."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1.0)
        gap = other.mean - self.mean
        squares = self.deviation + other.deviation + gap**2 * self.count * share
        return Moments(count, self.mean + share * gap, squares)

    def spread(self) -> F64:
        """Standard deviations; 0 where nothing varies beyond rounding."""
        spread = np.sqrt(self.deviation / np.maximum(self.count, 1.0))
        return np.where(spread > NOISE * np.abs(self.mean), spread, 0.0)

    def unit(self) -> F64:
        """What to measure in: the spread, or the size of what does not vary; 1 where all is 0."""
        spread, size = self.spread(), np.abs(self.mean)
        return np.where(spread > 0, spread, np.where(size > 0, size, 1.0))

    def pooled(self) -> Moments:
        """Of all groups together, as one number."""
        seen = self.count > 0
        pivot = self.mean[seen][0] if seen.any() else 0.0
        n = self.count.sum()
        mean = pivot + (self.count * (self.mean - pivot)).sum() / max(n, 1.0)
        squares = self.deviation.sum() + (self.count * (self.mean - mean) ** 2).sum()
        return Moments(np.asarray(n), np.array([mean]), np.array([squares]))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a policy saves; `Moments(**arrays)` takes it back."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def shrunk(totals: F64, counts: F64, prior: float) -> F64:
    """(A, M) means of totals (A, M) over counts (A,), shrunk to the mean of all by `prior`
    pseudo-observations of it."""
    overall = totals.sum(axis=0) / max(float(counts.sum()), 1.0)
    return np.asarray((totals + prior * overall) / (counts + prior)[:, None])
