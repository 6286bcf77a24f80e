"""Events put in order: by user, and by time inside each user."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def user_codes(user: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct users in order, (T,) place of each event's user among them)."""
    if len(user) and user.min() >= 0 and user.max() < 16 * len(user):  # no sort is needed
        occurs = np.bincount(user) > 0
        return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[user]
    users, code = np.unique(user, return_inverse=True)
    return users, code


def time_order(keys: NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """(T,) rows in order of 64-bit numbers, exactly; ties keep the order of the rows."""
    if keys is None or not count:
        return np.arange(count)
    if keys.dtype.kind == "f" and bool(((keys == np.floor(keys)) & (np.abs(keys) < 2**62)).all()):
        keys = keys.astype(np.int64)
    if keys.dtype.kind in "iu" and int(keys.max()) - int(keys.min()) + 1 < (1 << 62) // count:
        since = (keys - keys.min()).astype(np.int64)
        return np.argsort(since * count + np.arange(count))  # distinct keys: the fastest sort does
    return np.argsort(keys, kind="stable")


def group_by_user(
    code: NDArray[np.int64], users: int, order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`order` grouped by user, stable inside each: a counting sort in compiled code."""
    from scipy import sparse

    cells = (order, (code[order], np.arange(len(order))))
    rows: NDArray[np.int64] = sparse.coo_array(cells, shape=(users, len(order))).tocsr().data
    return rows
