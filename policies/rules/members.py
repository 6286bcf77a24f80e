"""Which items are members, of which groups, and among those of a history."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
I32 = NDArray[np.int32]
FLAGS = 2**24  # bytes at most


def members_of(members: Bool, items: I32) -> Bool:
    """Which of items (B, C) are members, by flags (A,); an empty place, -1, is none."""
    if items.min(initial=0) >= 0:
        return members[items]
    return members[np.maximum(items, 0)] & (items >= 0)


def groups_of(group: I32, items: I32) -> I32:
    """The groups of items (B, C), by numbers (A,); -1 = of none, or an empty place."""
    if items.min(initial=0) >= 0:
        return group[items]
    return np.where(items >= 0, group[np.maximum(items, 0)], np.int32(-1))


def among(values: I32, past: I32) -> Bool | None:
    """(B, C) which of the values (B, C) stand in the past (B, H) of their row; -1 does not.

    By a flag for each row and value. None where those would take too much memory.
    """
    most = 1 + max(int(values.max(initial=-1)), int(past.max(initial=-1)))
    if len(past) * (most + 1) > FLAGS:
        return None
    rows = np.arange(len(past))[:, None]
    flags = np.zeros((len(past), most + 1), np.bool_)  # the last column is that of -1
    flags[rows, past] = True
    flags[:, -1] = False
    return flags[rows, values]
