"""What each item adds to the best slate, where the user takes one item of it or nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]
SWEEPS = 12  # Dinkelbach's iteration converges superlinearly


def marginal_values(weight: F64, value: F64, places: int, eligible: Bool) -> F64:
    """(B, C): by how much each item raises the expected value of a slate of the other places.

    Multinomial logit: of a slate S item a is taken with chance w_a / (1 + sum of w), and brings
    value_a more than nothing does. For an item of the best slate the others are the rest of it, and
    for any other item they are the best slate without the item that is missed least there. So the
    largest are those of the best slate, and they are in units of the value however unlike the
    weights are.

    weight, value, eligible: (B, C); weights above 0.
    """
    best = best_items(weight, value, places, eligible)
    there = np.take_along_axis(eligible, best, axis=1)
    w = np.where(there, np.take_along_axis(weight, best, axis=1), 0.0)
    paid = w * np.take_along_axis(value, best, axis=1)
    total, sum_paid = 1.0 + w.sum(axis=1, keepdims=True), paid.sum(axis=1, keepdims=True)
    without = (sum_paid - paid) / (total - w)  # (B, K) worth of the slate less each of its items
    least = np.argmax(without, axis=1)[:, None]
    rest, rest_paid = (np.take_along_axis(x, least, axis=1) for x in (total - w, sum_paid - paid))
    added = (rest_paid + weight * value) / (rest + weight) - rest_paid / rest
    np.put_along_axis(added, best, sum_paid / total - without, axis=1)
    return np.asarray(added)


def best_value(weight: F64, value: F64, places: int, eligible: Bool) -> F64:
    """(B,) expected value of the best slate."""
    best = best_items(weight, value, places, eligible)
    w = np.take_along_axis(np.where(eligible, weight, 0.0), best, axis=1)
    return worth(w, np.take_along_axis(value, best, axis=1))


def worth(weight: F64, value: F64) -> F64:
    """(B,) expected value of slates (B, K)."""
    return np.asarray((weight * value).sum(axis=1) / (1.0 + weight.sum(axis=1)))


def best_items(weight: F64, value: F64, places: int, eligible: Bool) -> I64:
    """(B, K) columns of the slate of largest expected value L: the items of largest
    w_a (value_a - L). Dinkelbach (1967); Rusmevichientong, Shen & Shmoys (2010). Where fewer are
    eligible, the last columns are not."""
    k = min(places, weight.shape[1])
    level = np.zeros((len(weight), 1))
    best = np.zeros((len(weight), k), np.int64)
    for _ in range(SWEEPS):
        gain = np.where(eligible, weight * (value - level), -np.inf)
        best = np.argpartition(-gain, k - 1, axis=1)[:, :k]
        mine = np.take_along_axis(np.where(eligible, weight, 0.0), best, axis=1)
        new = worth(mine, np.take_along_axis(value, best, axis=1))[:, None]
        settled = np.abs(new - level).max(initial=0.0) <= 1e-9 * np.abs(new).max(initial=0.0)
        level = new
        if settled:
            break
    return best
