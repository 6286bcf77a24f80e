"""The population-stability index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
HALF = 0.5  # added to each count, so that an empty class is no infinite change


def stability_index(reference: F64, recent: F64) -> F64:
    """(...) sum over classes of (q - p) log(q / p) of counts (..., B); half a row is added to each
    class."""
    p, q = reference + HALF, recent + HALF
    p = p / p.sum(-1, keepdims=True)
    q = q / q.sum(-1, keepdims=True)
    return np.asarray(((q - p) * np.log(q / p)).sum(-1))


def bins_of(pooled: F64, most: int) -> F64:
    """Inner edges of at most `most` bins of about equal shares; equal numbers share a bin."""
    at = np.arange(1, most) / most
    edges = np.unique(np.quantile(pooled, at, method="inverted_cdf"))
    return np.asarray(edges[edges < pooled.max()])
