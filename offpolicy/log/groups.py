"""Group codes: which rows belong together (a session, a user), in order of first appearance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


class Groups(NamedTuple):
    """N rows in G groups."""

    code: I64  # (N,) 0..G-1, groups numbered as they first appear
    first: I64  # (G,) row at which each group first appears
    contiguous: bool  # the rows of every group stand together

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.first)


def group(ids: NDArray[Any]) -> Groups:
    """Number the groups of `ids` (N,) in order of appearance; O(N) for contiguous ids."""
    change = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    starts = np.concatenate([[0], change]).astype(np.int64) if len(ids) else change
    run = np.zeros(len(ids), np.int64)
    run[change] = 1
    np.cumsum(run, out=run)
    heads = ids[starts]
    if np.issubdtype(heads.dtype, np.integer) and bool((heads[1:] > heads[:-1]).all()):
        return Groups(run, starts, True)
    _, where, inverse = np.unique(heads, return_index=True, return_inverse=True)
    if len(where) == len(heads):
        return Groups(run, starts, True)
    order = np.argsort(where, kind="stable")
    rank = np.empty(len(where), np.int64)
    rank[order] = np.arange(len(where))
    return Groups(rank[inverse.ravel()][run], starts[where[order]], False)


def in_group_order(groups: Groups, step: NDArray[Any]) -> I64 | None:
    """Row order by (group, step), or None when the rows already stand so."""
    if groups.contiguous:
        inside = groups.code[1:] == groups.code[:-1]
        if not bool((inside & (step[1:] < step[:-1])).any()):
            return None
    return np.lexsort((step, groups.code)).astype(np.int64)


def rank_in_group(groups: Groups) -> I64:
    """Rank (N,) of every row among the rows of its own group: 0, 1, 2 … in row order."""
    order = np.argsort(groups.code, kind="stable")
    size = np.bincount(groups.code, minlength=groups.n)
    start = np.cumsum(size) - size
    rank = np.empty(len(groups.code), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(start, size)
    return rank
