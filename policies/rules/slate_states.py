"""What constraints and re-ranking objectives know of a slate, place by place (SlateState)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from policies.slates.counted import UNBOUNDED, GroupCount

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Bonus:
    """The same is added at every place."""

    bonus: F64  # (B, C)

    def logits(self) -> F64:
        return self.bonus

    def required(self) -> None:
        return None

    def place(self, column: I64) -> None:
        """Nothing changes."""


class CapState:
    """A group of which `most` are placed is closed."""

    def __init__(self, group: I32, most: int) -> None:
        self.group, self.most = group, most  # (B, C), -1 = of no group
        self.count = np.zeros(group.shape, np.int32)  # placed so far of each column's group
        self._logits = np.zeros(group.shape)
        if most <= 0:
            self._logits[group >= 0] = -np.inf

    @property
    def counted(self) -> GroupCount:
        """The same as a count of groups."""
        return GroupCount(self.group, 0, self.most)

    def logits(self) -> F64:
        return self._logits

    def required(self) -> None:
        return None

    def place(self, column: I64) -> None:
        placed = of_columns(self.group, column)
        placed[(column < 0) | (placed < 0)] = -2  # no column's
        same = self.group == placed[:, None]
        self.count += same
        same &= self.count >= self.most
        self._logits[same] = -np.inf


class QuotaState:
    """Members are closed once `most` are placed, and required until `least` are."""

    def __init__(self, members: Bool, least: int, most: int | None) -> None:
        self.members, self.least, self.most = members, least, most  # members (B, C)
        self.count = np.zeros(len(members), np.int64)  # members placed
        self._logits = np.zeros(members.shape)
        if most is not None and most <= 0:
            self._logits[members] = -np.inf

    @property
    def counted(self) -> GroupCount:
        """The same as a count of one group."""
        most = UNBOUNDED if self.most is None else self.most
        return GroupCount(self.members.astype(np.int32) - 1, self.least, most)

    def logits(self) -> F64:
        return self._logits

    def required(self) -> tuple[Bool, I64]:
        return self.members, self.least - self.count

    def place(self, column: I64) -> None:
        placed = of_columns(self.members, column) & (column >= 0)
        self.count += placed
        if self.most is not None:
            full = np.flatnonzero(placed & (self.count == self.most))
            self._logits[full] = np.where(self.members[full], -np.inf, 0.0)


class NearestState:
    """Cosine with the most similar item above, of unit vectors (B, C, D)."""

    def __init__(self, vectors: F64, weight: float) -> None:
        self.vectors, self.weight = vectors, weight
        self.nearest = np.zeros(vectors.shape[:2])  # cosine; 0 before the first place

    def logits(self) -> F64:
        return -self.weight * self.nearest

    def required(self) -> None:
        return None

    def place(self, column: I64) -> None:
        cosine = np.einsum("bcd,bd->bc", self.vectors, of_columns(self.vectors, column))
        self.nearest = np.maximum(self.nearest, np.where((column >= 0)[:, None], cosine, -1.0))


class VolumeState:
    """Residual of every candidate after projecting out those above (Gram-Schmidt)."""

    def __init__(self, vectors: F64, weight: float) -> None:
        self.residual, self.weight = vectors.copy(), weight

    def logits(self) -> F64:
        left = np.einsum("bcd,bcd->bc", self.residual, self.residual)
        gain: F64 = 0.5 * self.weight * np.log(np.maximum(left, 1e-6))  # a copy adds a little
        return gain

    def required(self) -> None:
        return None

    def place(self, column: I64) -> None:
        axis = of_columns(self.residual, column)
        norm = np.linalg.norm(axis, axis=1, keepdims=True)
        axis = np.where((norm > 1e-6) & (column >= 0)[:, None], axis / np.maximum(norm, 1e-12), 0.0)
        along = np.einsum("bcd,bd->bc", self.residual, axis)
        self.residual -= along[:, :, None] * axis[:, None, :]


def of_columns(values: NDArray[T], column: I64) -> NDArray[T]:
    """Of values (B, C, ...) those of one column of each row; any for -1."""
    picked: NDArray[T] = values[np.arange(len(column)), np.maximum(column, 0)]
    return picked
