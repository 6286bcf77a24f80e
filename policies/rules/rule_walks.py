"""What caps and quotas say at each place of a slate that grows (see policies.rules)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.slates.sequential import Walk

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CapTerm:
    group: I32  # (B, C)
    most: int

    def start(self, places: int) -> Walk:
        return CapWalk(self.group, self.most, np.zeros(self.group.shape, np.int32))


@dataclass(slots=True, eq=False)
class CapWalk:
    group: I32
    most: int
    count: I32  # (B, C) placed so far of each column's group

    def logits(self) -> F64:
        return np.where((self.count >= self.most) & (self.group >= 0), -np.inf, 0.0)

    def wants(self) -> None:
        return None

    def push(self, column: I64) -> None:
        placed = self.group[np.arange(len(column)), np.maximum(column, 0)]
        self.count += (self.group == placed[:, None]) & (column >= 0)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class QuotaTerm:
    members: Bool  # (B, C)
    least: int
    most: int | None

    def start(self, places: int) -> Walk:
        return QuotaWalk(self, np.zeros(len(self.members), np.int64))


@dataclass(slots=True, eq=False)
class QuotaWalk:
    term: QuotaTerm
    count: I64  # (B,) members placed

    def logits(self) -> F64:
        t = self.term
        out = np.zeros(t.members.shape)
        if t.most is not None:
            out[t.members & (self.count >= t.most)[:, None]] = -np.inf
        return out

    def wants(self) -> tuple[Bool, I64]:
        return self.term.members, self.term.least - self.count

    def push(self, column: I64) -> None:
        member = self.term.members[np.arange(len(column)), np.maximum(column, 0)]
        self.count += member & (column >= 0)
