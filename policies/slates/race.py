"""Softmax choice without replacement as a race: place by place the first of the columns to arrive.

Column c arrives at time E / w, with E standard exponential and w its softmax weight: the order of
arrival is a Plackett-Luce draw (Yellott, 1977), and the one that Gumbel noise of the same uniform
numbers gives, at one logarithm for each column instead of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.slates.row_streams import RowStreams

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def raced(logits: F64, places: int, rng: Any) -> tuple[I32, F64]:
    """Slates (B, K) drawn from logits (B, C), and the probability (B, K) of their first places.

    rng: a `distributions.RandomSource`.
    """
    from policies.slates.race_loop import alike, places_of  # Numba is slow to import

    slate = np.empty((len(logits), places), np.int32)
    if isinstance(rng, np.random.Generator) and not logits.any():
        return slate, alike(rng.random(logits.shape), slate)  # in the order of E
    arrival = _exponential(rng, logits.shape)
    return slate, places_of(_doubles(logits), _weights(logits), arrival, slate, True)


def chances(logits: F64, slate: NDArray[np.integer[Any]]) -> F64:
    """Probability (B, K) that the first l places are those of a slate (B, K), for l = 1..K.

    Raises ValueError for a slate of other rows or kind, and for columns outside -1..C-1.
    """
    from policies.slates.race_loop import places_of

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
    return places_of(_doubles(logits), weights, np.empty((0, 0)), given, False)


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
