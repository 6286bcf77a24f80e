"""Slates from one action: the items nearest to a proto-item. Dulac-Arnold et al. (2015).

The action is either a vector in the space of the items, or one of the candidates, which then stands
first and is followed by those most like it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import top_places

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def unit_vectors(table: F32, rank: int) -> F32:
    """(A, P) leading principal directions of item vectors (A, D), rows of length 1."""
    centred = (table - table.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    lead = centred @ axes[:, ::-1][:, : min(rank, table.shape[1])]
    norm = np.linalg.norm(lead, axis=1, keepdims=True)
    unit: F32 = (lead / np.where(norm > 1e-9, norm, 1.0)).astype(np.float32)
    return unit


def near_vector(vectors: F32, proto: F32, ids: I32 | None) -> F64:
    """Scores (B, C) of candidates ids (B, C), or of all items: products with proto (B, P).

    -inf for an empty candidate (-1).
    """
    if ids is None:
        return (proto @ vectors.T).astype(np.float64)
    scores = np.einsum("bcp,bp->bc", vectors[np.maximum(ids, 0)], proto).astype(np.float64)
    return np.where(ids < 0, -np.inf, scores)


def near_item(vectors: F32, column: NDArray[np.int64], ids: I32 | None) -> F64:
    """Scores (B, C) by likeness to the candidate in `column` (B,), which stands first."""
    rows = np.arange(len(column))
    chosen = column if ids is None else np.maximum(ids[rows, column], 0)
    scores = near_vector(vectors, vectors[chosen], ids)
    there = ~np.isneginf(scores[rows, column])
    scores[rows[there], column[there]] = 2.0  # likeness is at most 1
    return scores


def slate_of(scores: F64, places: int) -> I32:
    """The K best columns (B, K): what an environment takes."""
    return top_places(scores, places)
