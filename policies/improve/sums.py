"""Sums of squares and products by item: all that a regression on items and features needs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of rows with an item of A, features x (D,) and outcomes y (M,). Two logs' sums add."""

    n: F64  # (A,) rows
    x: F64  # (A, D)
    y: F64  # (A, M)
    xx: F64  # (D, D)
    xy: F64  # (D, M)
    yy: F64  # (M, M)

    @classmethod
    def none(cls, items: int, features: int, outcomes: int) -> Self:
        """No rows."""
        a, d, m = items, features, outcomes
        by_item = np.zeros(a), np.zeros((a, d)), np.zeros((a, m))
        return cls(*by_item, np.zeros((d, d)), np.zeros((d, m)), np.zeros((m, m)))

    @classmethod
    def of(
        cls, item: NDArray[np.integer], x: F64, y: F64, items: int, weight: F64 | None = None
    ) -> Self:
        """Of rows (N,), (N, D), (N, M), which count `weight` (N,) times each, once by default."""
        w = np.ones(len(item)) if weight is None else weight
        n = np.bincount(item, w, minlength=items).astype(np.float64)
        wx, wy = x * w[:, None], y * w[:, None]
        by_item = by_group(item, wx, items), by_group(item, wy, items)
        return cls(n, *by_item, x.T @ wx, x.T @ wy, y.T @ wy)

    def plus(self, other: Sums) -> Sums:
        """Of both."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Sums(*(a + b for a, b in pairs))

    def placed(self, x: NDArray[np.int64], y: NDArray[np.int64], d: int, m: int) -> Sums:
        """The same rows among D features and M outcomes, where these stand at columns x and y."""
        whole = Sums.none(len(self.n), d, m)
        whole.n[:] = self.n
        whole.x[:, x], whole.y[:, y] = self.x, self.y
        whole.xx[np.ix_(x, x)], whole.xy[np.ix_(x, y)] = self.xx, self.xy
        whole.yy[np.ix_(y, y)] = self.yy
        return whole

    def outcome(self, weight: F64) -> Sums:
        """Of the one outcome y . weight."""
        w = weight[:, None]
        return Sums(self.n, self.x, self.y @ w, self.xx, self.xy @ w, w.T @ self.yy @ w)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a policy saves; `Sums(**arrays)` takes it back."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def by_group(group: NDArray[np.integer], rows: F64, size: int) -> F64:
    """(size, D) sums of rows (N, D) by group (N,)."""
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(size))
    total = np.zeros((size, rows.shape[1]))
    seen = np.flatnonzero(np.bincount(group, minlength=size))
    if len(seen):
        total[seen] = np.add.reduceat(rows[order], edges[seen], axis=0)
    return total
