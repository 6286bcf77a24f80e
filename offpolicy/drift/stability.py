"""The population-stability index, and what it is when nothing has changed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.intervals.inference import check_level
from offpolicy.log.columns import numbers

F64 = NDArray[np.float64]
HALF = 0.5  # added to each count, so that an empty class is no infinite change


class Stability(NamedTuple):
    """An index, and how large it is by chance."""

    value: float  # the index
    threshold: float  # passed with probability 1 - level where nothing has changed
    p_value: float


def stability_index(reference: F64, recent: F64) -> F64:
    """(...) sum over classes of (q - p) log(q / p) of counts (..., B); half a row is added to each
    class."""
    p, q = reference + HALF, recent + HALF
    p = p / p.sum(-1, keepdims=True)
    q = q / q.sum(-1, keepdims=True)
    return np.asarray(((q - p) * np.log(q / p)).sum(-1))


def stability(
    reference: ArrayLike, recent: ArrayLike, *, level: float = 0.95, clustering: float = 1.0
) -> Stability:
    """The index of counts (B,) of the same classes, with a threshold that knows how many were
    counted: without a change it is (1 / n + 1 / m) times a chi-square variable of B - 1 degrees
    (Yurdakul, 2018), instead of the usual .1 and .25 for all n. Classes that neither has are left
    out. `clustering` is the design effect of rows that hang together (1: rows are independent), by
    which n and m are divided.

    Raises:
        LogError: no counts, or fewer than two classes.
    """
    from scipy.special import chdtrc, chdtri

    check_level(level)
    a, b = numbers("reference", reference), numbers("recent", recent)
    if a.ndim != 1 or a.shape != b.shape or not (np.r_[a, b] >= 0).all():
        raise LogError(
            f"counts have shapes {a.shape} and {b.shape}; give two of (B,), none below 0"
        )
    if not clustering >= 1:
        raise LogError(f"clustering = {clustering}; it is a design effect, 1 or above")
    held = a + b > 0
    a, b = a[held], b[held]
    if len(a) < 2 or not (a.sum() > 0 and b.sum() > 0):
        raise LogError(
            f"{len(a)} classes of {a.sum():.0f} and {b.sum():.0f} rows: give two or more"
        )
    scale = clustering * (1 / a.sum() + 1 / b.sum())
    index, freedom = float(stability_index(a, b)), len(a) - 1
    threshold = scale * float(chdtri(freedom, 1 - level))
    return Stability(index, threshold, float(chdtrc(freedom, index / scale)))


def bins_of(pooled: F64, most: int) -> F64:
    """Inner edges of at most `most` bins of about equal shares; equal numbers share a bin."""
    at = np.arange(1, most) / most
    edges = np.unique(np.quantile(pooled, at, method="inverted_cdf"))
    return np.asarray(edges[edges < pooled.max()])


def design_effect(counts: F64) -> float:
    """By how much less the rows of whole units say than as many independent ones, from counts
    (U, B) of units by class: the mean over classes of the variance of shares over that of
    independent rows (Rao & Scott, 1981); 1 at least."""
    rows = counts.sum(1)
    n, units = float(rows.sum()), len(counts)
    share = counts.sum(0) / n
    held = share > 0
    if units < 2 or held.sum() < 2:
        return 1.0
    off = counts[:, held] - rows[:, None] * share[held]
    variance = (off**2).sum(0) * units / (units - 1) / n**2
    effects = variance * n / share[held]  # (1 - p) d = variance n / p
    return max(float(effects.sum()) / (int(held.sum()) - 1), 1.0) if math.isfinite(n) else 1.0
