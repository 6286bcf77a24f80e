"""The compiled loops of `race`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.slates.compiling import SUMS, njit_cached

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

LEAST = 1e-30  # of a sum of weights: below, they are made anew from the logits that are left


@njit_cached(SUMS)
def places_of(logits: F64, weights: F64, arrival: F64, slate: I32, draws: bool) -> F64:
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
                total = made_anew(logits[b], w, slate[b], k)
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
def alike(arrival: F64, slate: I32) -> F64:
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
def made_anew(logits: F64, weights: F64, slate: I32, placed: int) -> float:
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
