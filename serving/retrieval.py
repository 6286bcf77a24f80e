"""Candidates where a request gives none: the items nearest to what the user took last."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.validation import COUNT

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
PRODUCTS = 2**22  # of users and items at once: 16 MB


class Retrieval(Protocol):
    """Gives every user candidates."""

    def __call__(self, histories: I32) -> I32:
        """(B, H) items, oldest first, -1 = empty place -> (B, C) items, each once, -1 = no more. A
        row must not depend on the others."""


class TopVectors:
    """The k items whose vectors (A, D) have the largest inner product with the mean vector of the
    last `recent` items; the first k items of the catalogue for an empty history.

    A product of matrices rounds otherwise in another batch. It only says which items cannot be
    among the best, by the bound of Higham (2002, section 3.1); those that are left are scored one
    by one.

    Raises ValueError where k is not 1..A, or a vector or a product of two is not finite.
    """

    def __init__(self, vectors: F32, k: int, *, recent: int = 10) -> None:
        COUNT.check("k", k)
        COUNT.check("recent", recent)
        float32, vectors = np.finfo(np.float32), np.asarray(vectors)
        if vectors.dtype.kind not in "fiu":
            raise ValueError(f"item vectors are {vectors.dtype}; give numbers (A, D)")
        if vectors.ndim != 2 or not k <= len(vectors):
            raise ValueError(f"{k} of {vectors.shape} item vectors cannot be retrieved")
        longest = np.linalg.norm(vectors.astype(np.float64), axis=1).max()
        if not longest**2 < float(float32.max):
            raise ValueError("item vectors must be finite, and their products too, in float32")
        self.vectors, self.k, self.recent = np.ascontiguousarray(vectors, np.float32), k, recent
        width = vectors.shape[1] + 1
        self._columns = np.ascontiguousarray(self.vectors.T)  # (D, A): products of few rows are
        # twice as quick with it
        self._error = width * float(float32.eps * longest + float32.tiny)  # of a product

    def __call__(self, histories: I32) -> I32:
        histories = np.asarray(histories)
        if histories.ndim != 2 or histories.dtype.kind not in "iu":
            raise ValueError(
                f"histories must be (B, H) item ids, got {histories.dtype} of {histories.shape}"
            )
        if histories.max(initial=-1) >= len(self.vectors):
            raise ValueError(
                f"histories hold item {histories.max()}, and there are vectors of items "
                f"0..{len(self.vectors) - 1}"
            )
        found = np.empty((len(histories), self.k), np.int32)
        found[:] = np.arange(self.k)
        known = np.flatnonzero((histories >= 0).any(axis=1))
        at_once = max(1, PRODUCTS // len(self.vectors))
        for first in range(0, len(known), at_once):
            rows = known[first : first + at_once]
            found[rows] = self._best(histories[rows])
        return found

    def _best(self, histories: I32) -> I32:
        taken = (row[row >= 0][-self.recent :] for row in histories)
        users = np.stack([self.vectors[items].mean(axis=0) for items in taken])
        product = users @ self._columns
        last = len(self.vectors) - self.k
        kth = np.partition(product, last, axis=1)[:, last]
        least = kth - 2 * self._error * (1 + np.linalg.norm(users, axis=1))
        least = np.nextafter(least.astype(np.float32), np.float32(-np.inf))
        return np.stack([self._exact(*row) for row in zip(users, product, least, strict=True)])

    def _exact(self, user: F32, product: F32, least: np.float32) -> I32:
        """The best of the items whose product is at least so large."""
        items = np.flatnonzero(product >= least)
        score = (self.vectors[items] * user.astype(np.float64)).sum(axis=1)
        best: I32 = items[np.argsort(-score, kind="stable")[: self.k]].astype(np.int32)
        return best
