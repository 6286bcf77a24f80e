"""Scores of several seeds on several worlds as one number, or one profile, with its interval.

Agarwal, Schwarzer, Castro, Courville and Bellemare (2021), "Deep reinforcement learning at the edge
of the statistical precipice". Intervals are percentiles of a bootstrap stratified by world: seeds
are redrawn inside each world, so that they speak of other seeds on the same worlds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.common.truth import Mean
from experiments.study.aggregate import improvement as improved
from experiments.study.aggregate import middle

F64 = NDArray[np.float64]
DRAWS = 2000  # of the bootstrap
LEAST = 2  # seeds without which there is no interval


class Profile(NamedTuple):
    """Share of runs above each threshold, with bounds that hold at each threshold alone."""

    threshold: F64  # (T,)
    share: F64  # (T,)
    low: F64  # (T,)
    high: F64  # (T,)


def normalised(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> F64:
    """Values (S, W) as scores: 0 is what `low` (W,) earns in each world, 1 what `high` (W,) does.

    Raises ValueError where `high` is not above `low`.
    """
    floor, top = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if not (top > floor).all():
        world = int(np.argmin(np.atleast_1d(top > floor)))
        raise ValueError(f"world {world}: the score of 1 must earn more than that of 0")
    return np.asarray((np.asarray(values, np.float64) - floor) / (top - floor))


def interquartile_mean(scores: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Mean:
    """Mean of the middle half of all scores (S, W) of S seeds on W worlds, with its interval: less
    moved by a lucky seed than the mean, and of less variance than the median.

    Raises ValueError for scores that are not finite numbers (S, W) of 2 seeds or more.
    """
    x = checked_scores(scores)
    drawn = middle(_redrawn(x, np.random.default_rng(seed)))
    return _between(float(middle(x)), drawn, level)


def improvement(one: ArrayLike, other: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Mean:
    """Chance that a seed of one policy beats a seed of the other in a world drawn by chance, ties
    half: the Mann-Whitney statistic, (S, W) and (S', W) scores, with its interval.

    Raises ValueError as `interquartile_mean`, and for other worlds.
    """
    a, b = checked_scores(one), checked_scores(other)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"scores of {a.shape[1]} and of {b.shape[1]} worlds: give the same")
    rng = np.random.default_rng(seed)
    draws = zip(_redrawn(a, rng), _redrawn(b, rng), strict=True)
    return _between(improved(a.T, b.T), np.array([improved(x.T, y.T) for x, y in draws]), level)


def performance_profile(
    scores: ArrayLike, threshold: ArrayLike, *, level: float = 0.95, seed: int = 0
) -> Profile:
    """Share of all runs (S, W) whose score is above each threshold (T,), worlds weighed alike.

    Raises ValueError as `interquartile_mean`.
    """
    runs, at = checked_scores(scores), np.asarray(threshold, np.float64)

    def shares(x: F64) -> F64:
        return np.asarray((x[..., None] > at).mean((-3, -2)))

    drawn = np.array([shares(x) for x in _redrawn(runs, np.random.default_rng(seed))])
    tail = (1 - level) / 2
    return Profile(at, shares(runs), *np.quantile(drawn, (tail, 1 - tail), axis=0))


def checked_scores(scores: ArrayLike) -> F64:
    """(S, W) finite scores. Raises ValueError, which says what they are."""
    x = np.asarray(scores, np.float64)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"scores of shape {x.shape}: give finite numbers (seeds, worlds)")
    if len(x) < LEAST:
        raise ValueError(f"an interval needs {LEAST} seeds, got {len(x)}")
    return x


def _redrawn(x: F64, rng: np.random.Generator) -> F64:
    """(draws, S, W): in every world as many seeds as there are, drawn with replacement."""
    s, w = x.shape
    rows = rng.integers(s, size=(DRAWS, s, w))
    return np.asarray(x[rows, np.arange(w)])


def _between(value: float, drawn: NDArray[Any], level: float) -> Mean:
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Mean(value, float(low), float(high))
