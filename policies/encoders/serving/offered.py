"""Scores of the items on offer alone: the work of C candidates for each user, not of A items."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from policies.encoders.base import F32, log_shares
from policies.slates.compiling import SUMS, njit_cached

BLOCK = 256, 1024  # users and items whose scores are held at once, so that they stay in the cache


def offered_scores(states: F32, items: ArrayLike, table: F32, counts: NDArray[np.int64]) -> F32:
    """Scores (B, C) of item ids (B, C) from encoder states (B, D), item vectors (A, D) and the
    items' counts in training (A,): to rounding those of `NeuralEncoder.scores`.

    Raises ValueError for items of another shape, or outside the catalogue.
    """
    ids = np.asarray(items)
    if ids.ndim != 2 or len(ids) != len(states) or ids.dtype.kind not in "iu":
        raise ValueError(f"items must be ({len(states)}, C) integers, got {ids.dtype} {ids.shape}")
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= len(table):
        raise ValueError(
            f"items reach from {ids.min()} to {ids.max()}, outside 0..{len(table) - 1}"
        )
    out = _products(np.ascontiguousarray(states), np.ascontiguousarray(table), ids.astype(np.int64))
    known = counts > 0
    blank = ~states.any(axis=1)
    if known.any() and not known.all():
        new = ~known[ids]
        rows = np.flatnonzero(new.any(axis=1) & ~blank)
        least = _least(states[rows], table[known])
        out[rows] = np.where(new[rows], least[:, None], out[rows])
    empty = np.flatnonzero(blank)
    if empty.size:
        out[empty] = log_shares(counts)[ids[empty]]
    return out


def _least(states: F32, table: F32) -> F32:
    """(B,) the lowest score of any item of a table; all scores are never held at once."""
    users, items = BLOCK
    columns = [torch.from_numpy(table[i : i + items].T.copy()) for i in range(0, len(table), items)]
    least = []
    for i in range(0, len(states), users):
        part = torch.from_numpy(states[i : i + users])
        least.append(torch.stack([(part @ some).amin(dim=1) for some in columns]).amin(dim=0))
    return torch.cat(least).numpy() if least else np.zeros(0, np.float32)


@njit_cached(SUMS)
def _products(states: F32, table: F32, items: NDArray[np.int64]) -> F32:
    """states[b] @ table[items[b, c]], (B, C); the ids were checked."""
    users, width = items.shape
    out = np.empty((users, width), np.float32)
    for b in range(users):
        for c in range(width):
            total, item = np.float32(0.0), items[b, c]
            for d in range(states.shape[1]):
                total += states[b, d] * table[item, d]
            out[b, c] = total
    return out
