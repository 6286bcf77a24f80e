"""Softmax choice without replacement as a race: place by place the first of the columns to arrive.

Column c arrives at time E / w, with E standard exponential and w its softmax weight: the order of
arrival is a Plackett-Luce draw (Yellott, 1977), and the one that Gumbel noise of the same uniform
numbers gives, at one logarithm for each column instead of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.slates.compiling import SUMS, njit_cached
from policies.slates.row_streams import RowStreams

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

LEAST = 1e-30  # of a sum of weights: below, they are made anew from the logits that are left


def raced(logits: F64, places: int, rng: Any) -> tuple[I32, F64]:
    """Slates (B, K) drawn from logits (B, C), and the probability (B, K) of their first places.

    rng: a `distributions.RandomSource`.
    """
    slate = np.empty((len(logits), places), np.int32)
    if isinstance(rng, np.random.Generator) and not logits.any():
        return slate, _alike(rng.random(logits.shape), slate)  # in the order of E
    arrival = _exponential(rng, logits.shape)
    return slate, _places(_doubles(logits), _weights(logits), arrival, slate, True)


def chances(logits: F64, slate: NDArray[np.integer[Any]]) -> F64:
    """Probability (B, K) that the first l places are those of a slate (B, K), for l = 1..K.

    Raises ValueError for a slate of other rows or kind, and for columns outside -1..C-1.
    """
    rows, width = logits.shape
    if slate.ndim != 2 or len(slate) != rows or slate.dtype.kind not in "iu":
        raise ValueError(
            f"a slate of {slate.dtype} {slate.shape} for logits {logits.shape}: give whole "
            f"numbers, a row for each of {rows} users"
        )
    if slate.max(initial=-1) >= width or slate.min(initial=0) < -1:
        raise ValueError(
            f"a slate of columns {slate.min()} to {slate.max()} for logits {logits.shape}: give "
            f"columns below {width}, -1 = an empty place"
        )
    given = np.ascontiguousarray(slate, np.int32)
    weights = _weights(logits) if logits.any() else np.ones(logits.shape)
    return _places(_doubles(logits), weights, np.empty((0, 0)), given, False)


def _doubles(logits: F64) -> F64:
    return np.ascontiguousarray(logits, np.float64)


def _weights(logits: F64) -> F64:
    """Softmax weights (B, C) in units of the row's largest."""
    top = logits.max(axis=1, keepdims=True)
    none = top == -np.inf
    if none.any():
        top[none] = 0.0
    out = np.ascontiguousarray(logits - top, np.float64)
    return np.exp(out, out=out)


def _exponential(rng: Any, shape: tuple[int, ...]) -> F64:
    """Standard exponential numbers (B, C), -log u of the numbers u that Gumbel noise is made of."""
    if isinstance(rng, np.random.Generator):
        u = rng.random(shape)
        np.subtract(1.0, u, out=u)
    elif isinstance(rng, RowStreams):
        u = rng.random(size=shape)
    else:
        noise: F64 = rng.gumbel(size=shape)
        return np.exp(-noise)
    np.log(u, out=u)
    return np.negative(u, out=u)


@njit_cached(SUMS)
def _places(logits: F64, weights: F64, arrival: F64, slate: I32, draws: bool) -> F64:
    """Probabilities (B, K) of the first places of `slate` (B, K), which is written with `draws`.

    A column stands once: `weights` (B, C) of what was placed become 0. What is left is summed anew
    at each place, so that nothing is subtracted.
    """
    rows, places = slate.shape
    columns = logits.shape[1]
    out = np.empty((rows, places))
    for b in range(rows):
        w, reached = weights[b], 1.0
        for k in range(places):
            total = 0.0
            for c in range(columns):
                total += w[c]
            if total < LEAST:
                total = _anew(logits[b], w, slate[b], k)
            column = -1
            if draws:
                first = np.inf
                for c in range(columns):
                    if w[c] > 0.0:
                        time = arrival[b, c] / w[c]
                        if time < first or column < 0:
                            first, column = time, c
                slate[b, k] = column
            else:
                column = slate[b, k]
            if column >= 0:
                reached *= w[column] / total if total > 0.0 else 0.0
                w[column] = 0.0
            elif total > 0.0:
                reached = 0.0
            out[b, k] = reached
    return out


@njit_cached()
def _alike(arrival: F64, slate: I32) -> F64:
    """The same where all columns are alike: `arrival` (B, C) of what was placed becomes 2."""
    rows, places = slate.shape
    columns = arrival.shape[1]
    out = np.empty((rows, places))
    for b in range(rows):
        reached = 1.0
        for k in range(places):
            first, column = 1.0, -1
            for c in range(columns):
                if arrival[b, c] < first:
                    first, column = arrival[b, c], c
            slate[b, k] = column
            if column >= 0:
                reached *= 1.0 / (columns - k)
                arrival[b, column] = 2.0
            out[b, k] = reached
    return out


@njit_cached(SUMS)
def _anew(logits: F64, weights: F64, slate: I32, placed: int) -> float:
    """Weights (C,) of the columns that are not placed yet, in units of their largest; their sum."""
    top = -np.inf
    for c in range(logits.size):
        free = True
        for k in range(placed):
            free &= slate[k] != c
        weights[c] = 1.0 if free else 0.0
        if free and logits[c] > top:
            top = logits[c]
    total = 0.0
    for c in range(logits.size):
        if weights[c] > 0.0:
            weights[c] = np.exp(logits[c] - top) if top > -np.inf else 0.0
            total += weights[c]
    return total
