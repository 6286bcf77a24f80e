"""What each item adds to the best slate, where the user takes one item of it or nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
SWEEPS = 12  # Dinkelbach's iteration converges superlinearly


def marginal_values(weight: F64, value: F64, places: int, eligible: Bool) -> F64:
    """(B, C): by how much more an item is worth than the best slate, times its chance in it.

    Multinomial logit: of a slate S item a is taken with chance w_a / (1 + sum of w), and brings
    value_a more than nothing does. The slate of largest expected value L holds the items of largest
    w_a (value_a - L): Dinkelbach (1967); Rusmevichientong, Shen & Shmoys (2010). The result is that
    over 1 + the sum of w in the best slate: what the item adds, in units of the value.

    weight, value, eligible: (B, C); weights above 0.
    """
    level, total = best_slate(weight, value, places, eligible)
    return np.asarray(weight * (value - level[:, None]) / total[:, None])


def best_slate(weight: F64, value: F64, places: int, eligible: Bool) -> tuple[F64, F64]:
    """(B,) expected value of the best slate, and 1 + the sum of its weights."""
    k = min(places, weight.shape[1])
    level, total = np.zeros((len(weight), 1)), np.ones((len(weight), 1))
    for _ in range(SWEEPS):
        gain = np.where(eligible, weight * (value - level), -np.inf)
        best = np.argpartition(-gain, k - 1, axis=1)[:, :k]
        mine = np.take_along_axis(np.where(eligible, weight, 0.0), best, axis=1)
        total = 1.0 + mine.sum(axis=1, keepdims=True)
        new = (mine * np.take_along_axis(value, best, axis=1)).sum(axis=1, keepdims=True) / total
        settled = np.abs(new - level).max(initial=0.0) <= 1e-9 * np.abs(new).max(initial=0.0)
        level = new
        if settled:
            break
    return level[:, 0], total[:, 0]
