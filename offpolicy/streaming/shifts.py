"""Shifts: a top is stored less a constant times its bottom, so that large values do not cancel.

With a constant near the ratio itself the column is about the unit's influence on the ratio: what is
large and hardly varies, such as times in seconds, leaves the squares. Shards with different shifts
are brought to one by a linear map of their sums and cross-products. The algebra is that of shifted
data: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from offpolicy.estimators.terms import F64
from offpolicy.estimators.unit_totals import CONTROL, Columns


def first_shift(columns: Iterable[Columns], shift: F64, seen: F64, sums: F64) -> F64:
    """Shifts (P,), and for ratios with nothing `seen` in their bottom those that `sums` suggest.

    The control's increments average 0 and keep 0.
    """
    own = [c for c in columns if c.name != CONTROL]
    tops = np.concatenate([np.arange(c.top.start, c.top.stop) for c in own])
    bottoms = np.concatenate([np.arange(c.bottom.start, c.bottom.stop) for c in own])
    new = (seen[bottoms] == 0) & (sums[bottoms] != 0)
    if not new.any():
        return shift
    with np.errstate(over="ignore"):
        ratio = np.divide(sums[tops], sums[bottoms], out=np.zeros(len(tops)), where=new)
    shift = shift.copy()
    shift[tops] = np.where(new & np.isfinite(ratio), ratio, shift[tops])
    return shift


def subtract_shift(columns: Iterable[Columns], totals: F64, shift: F64) -> None:
    """Shift the tops of some units' totals (g, P), in place."""
    for c in columns:
        if shift[c.top].any():
            totals[:, c.top] -= shift[c.top] * totals[:, c.bottom]


def common_shift(columns: Iterable[Columns], shift: F64, sums: F64, other: F64) -> F64:
    """The shifts of a shard, and another's where this one has nothing in the bottom."""
    common = shift.copy()
    for c in columns:
        common[c.top] = np.where(sums[c.bottom] != 0, shift[c.top], other[c.top])
    return common


def change_shift(columns: Iterable[Columns], sums: F64, cross: F64, change: F64) -> tuple[F64, F64]:
    """Sums (P,) and cross-products (P, P) under shifts that are smaller by `change`."""
    sums, cross = sums.copy(), cross.copy()
    for c in columns:
        if change[c.top].any():
            sums[c.top] += change[c.top] * sums[c.bottom]
            cross[c.top] += change[c.top][:, None] * cross[c.bottom]
            cross[:, c.top] += change[c.top] * cross[:, c.bottom]
    return sums, cross
