"""What tastes say at each place of a slate that grows (see policies.rerank)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.slates.sequential import Walk

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bonus:
    """The same at every place."""

    bonus: F64  # (B, C)

    def start(self, places: int) -> Walk:
        return self

    def logits(self) -> F64:
        return self.bonus

    def wants(self) -> None:
        return None

    def push(self, column: I64) -> None:
        """Nothing moves."""


@dataclass(frozen=True, slots=True, eq=False)
class Similar:
    """Candidates as unit vectors, and the walk that compares them."""

    vectors: F64  # (B, C, D)
    weight: float
    walk: type[NearestWalk] | type[VolumeWalk]

    def start(self, places: int) -> Walk:
        return self.walk(self.vectors, self.weight)


class NearestWalk:
    def __init__(self, vectors: F64, weight: float) -> None:
        self.vectors, self.weight = vectors, weight
        self.nearest = np.zeros(vectors.shape[:2])  # cosine; 0 before the first place

    def logits(self) -> F64:
        return -self.weight * self.nearest

    def wants(self) -> None:
        return None

    def push(self, column: I64) -> None:
        cosine = np.einsum("bcd,bd->bc", self.vectors, _placed(self.vectors, column))
        self.nearest = np.maximum(self.nearest, np.where((column >= 0)[:, None], cosine, -1.0))


class VolumeWalk:
    """Residual of every candidate after projecting out those above (Gram-Schmidt)."""

    def __init__(self, vectors: F64, weight: float) -> None:
        self.residual, self.weight = vectors.copy(), weight

    def logits(self) -> F64:
        left = np.einsum("bcd,bcd->bc", self.residual, self.residual)
        gain: F64 = 0.5 * self.weight * np.log(np.maximum(left, 1e-6))  # a copy adds a little
        return gain

    def wants(self) -> None:
        return None

    def push(self, column: I64) -> None:
        axis = _placed(self.residual, column)
        norm = np.linalg.norm(axis, axis=1, keepdims=True)
        axis = np.where((norm > 1e-6) & (column >= 0)[:, None], axis / np.maximum(norm, 1e-12), 0.0)
        along = np.einsum("bcd,bd->bc", self.residual, axis)
        self.residual -= along[:, :, None] * axis[:, None, :]


def _placed(vectors: F64, column: I64) -> F64:
    """(B, D) of the columns just placed."""
    placed: F64 = vectors[np.arange(len(column)), np.maximum(column, 0)]
    return placed
