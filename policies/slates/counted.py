"""Small batches of slates filled under rules that count groups, by one compiled loop.

Caps and quotas look at a slate by how many of a group stand in it. For the few rows of a request,
NumPy spends its time between such small steps; the loop makes the same slates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

UNBOUNDED = 2**62


class GroupCount(NamedTuple):
    """Of each group of columns at most `most` may stand in a slate. Of all groups together `least`
    must, as far as they can: once that many places are left, nothing else may stand there."""

    group: I32  # (B, C), -1 = of no group
    least: int
    most: int


def fill(base: F64, noise: F64, counts: Sequence[GroupCount]) -> tuple[I32, F64]:
    """Slates (B, K) of the columns whose logits and noise are largest, place by place, -1 where
    none may stand; and the logits (K, B, C) at each place, without the noise.

    base: (B, C), -inf = may not stand. noise: (B, K, C).
    """
    from policies.slates.counted_loop import fill_rows  # Numba is slow to import

    slate = np.empty(noise.shape[:2], np.int32)
    logits = np.empty((noise.shape[1], *base.shape))
    groups = np.stack([one.group for one in counts])
    least, most = (np.array(x, np.int64) for x in zip(*(one[1:] for one in counts), strict=True))
    fill_rows(base, noise, groups, least, most, slate, logits)
    return slate, logits
