"""The best K items of each user without ever holding the whole table of scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

ROWS = 128  # users scored at once
WIDE = 8_192  # items scored at once: ROWS x WIDE scores stay in the cache
FOLD = 16  # scores that one maximum stands for
COLUMN = (1 << 29) - 1  # the bits of a double below the precision of a single

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


class Top(NamedTuple):
    """K items of each of B users, best first."""

    items: NDArray[np.int32]  # (B, K)
    scores: F32  # (B, K)


def top_k(states: F32, vectors: F32, k: int) -> Top:
    """The K items with the largest states @ vectors.T, exact, in blocks of users and items.

    Args:
        states: (B, D).
        vectors: (A, D).
        k: 1..A.

    Raises:
        ValueError: k is outside 1..A.
    """
    if not 1 <= k <= len(vectors):
        raise ValueError(f"the best {k} of {len(vectors)} items do not exist")
    items = np.empty((len(states), k), np.int32)
    scores = np.empty((len(states), k), np.float32)
    room = np.empty(ROWS * WIDE, np.float32)
    for first in range(0, len(states), ROWS):
        rows = states[first : first + ROWS]
        best = _of_blocks(rows, vectors, k, room)
        items[first : first + ROWS], scores[first : first + ROWS] = best
    return Top(items, scores)


def _of_blocks(rows: F32, vectors: F32, k: int, room: F32) -> tuple[I64, F32]:
    """(items, scores) of the best k of a few users: the best of the best of each block."""
    places, values = [], []
    for first in range(0, len(vectors), WIDE):
        block = vectors[first : first + WIDE]
        score = room[: len(rows) * len(block)].reshape(len(rows), len(block))
        torch.mm(torch.from_numpy(rows), torch.from_numpy(block).T, out=torch.from_numpy(score))
        place = best_of(score, min(k, len(block)))
        places.append(place + first)
        values.append(np.take_along_axis(score, place, 1))
    if len(places) == 1:
        return places[0], values[0]
    items, scores = np.concatenate(places, 1), np.concatenate(values, 1)
    at = _largest(scores, k)
    return np.take_along_axis(items, at, 1), np.take_along_axis(scores, at, 1)


def best_of(score: F32, k: int) -> I64:
    """(n, k) places of the k largest of each row, best first.

    Column j belongs to group j mod G. A row's best k all lie in the k groups of the largest
    maxima, so that only about FOLD * k scores of a row are ever compared with each other.
    """
    rows, width = score.shape
    groups = width // FOLD
    if groups <= 2 * k:
        return _largest(score, k)
    even = groups * FOLD
    folded = torch.from_numpy(score)[:, :even].reshape(rows, FOLD, groups)
    chosen = _largest(folded.amax(1).numpy(), k, ordered=False)  # (n, k) groups
    members = np.empty((rows, FOLD * k + width - even), np.int64)
    np.add(
        chosen[:, None],
        np.arange(0, even, groups)[:, None],
        out=members[:, : FOLD * k].reshape(rows, FOLD, k),
    )
    members[:, FOLD * k :] = np.arange(even, width)
    first = np.arange(rows)[:, None]
    some = score.ravel().take(members + first * width)
    best: I64 = members.ravel().take(_largest(some, k) + first * members.shape[1])
    return best


def _largest(score: F32, k: int, *, ordered: bool = True) -> I64:
    """(n, k) places of the k largest of each row, best first if `ordered`.

    A double has room for a single's value and, in the 29 bits below it, its column: plain values
    are then put in order, which compiled code does several times faster than indices.
    """
    key = score.astype(np.float64)
    key.view(np.int64)[...] |= np.arange(score.shape[1])
    key.partition(score.shape[1] - k, axis=1)
    best = key[:, -k:].copy()
    if ordered:
        best.sort(axis=1)
        best = best[:, ::-1].copy()
    places: I64 = best.view(np.int64)
    return places & COLUMN
