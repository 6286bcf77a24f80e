"""Candidates where a request gives none: the items nearest to what the user took last."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import top_places
from policies.validation import COUNT

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Retrieval(Protocol):
    """Gives every user candidates."""

    def __call__(self, histories: I32) -> I32:
        """(B, H) items, oldest first, -1 = empty place -> (B, C) items, each once, -1 = no more. A
        row must not depend on the others."""


class TopVectors:
    """The k items whose vectors (A, D) have the largest inner product with the mean vector of the
    last `recent` items; the first k items of the catalogue for an empty history.

    Raises ValueError where k is not 1..A, or a vector is not finite.
    """

    def __init__(self, vectors: F32, k: int, *, recent: int = 10) -> None:
        COUNT.check("k", k)
        COUNT.check("recent", recent)
        if vectors.ndim != 2 or k > len(vectors) or not np.isfinite(vectors).all():
            raise ValueError(f"{k} of {vectors.shape} finite item vectors cannot be retrieved")
        self.vectors, self.k, self.recent = np.ascontiguousarray(vectors, np.float32), k, recent

    def __call__(self, histories: I32) -> I32:
        found = [self._one(row[row >= 0][-self.recent :]) for row in histories]
        return np.stack(found) if found else np.zeros((0, self.k), np.int32)

    def _one(self, items: I32) -> I32:
        """One user at a time: a product of matrices rounds otherwise in another batch."""
        if not len(items):
            return np.arange(self.k, dtype=np.int32)
        score = self.vectors @ self.vectors[items].mean(axis=0)
        best: I32 = top_places(score[None].astype(np.float64), self.k)[0]
        return best
