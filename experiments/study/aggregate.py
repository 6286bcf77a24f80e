"""Scores over worlds and seeds as a few honest numbers. Agarwal et al. (2021, arXiv 2108.13264)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


class Interval(NamedTuple):
    """A statistic with its percentile bootstrap interval."""

    value: float
    low: float
    high: float


def interquartile_mean(scores: F64) -> float:
    """Mean of the middle half of all scores (worlds, seeds); whole scores are cut at each end."""
    return float(middle(scores))


def middle(scores: F64) -> F64:
    """The mean of the middle half of each table (..., worlds, seeds), whichever stands first."""
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = ordered.shape[-1] // 4
    return np.asarray(ordered[..., cut : ordered.shape[-1] - cut].mean(-1))


def improvement(one: F64, other: F64) -> float:
    """Chance that a seed of `one` (worlds, seeds) beats a seed of `other`, averaged over worlds;
    ties count half."""
    pairs = one[:, :, None] - other[:, None, :]
    return float((np.where(pairs > 0, 1.0, 0.0) + np.where(pairs == 0, 0.5, 0.0)).mean())


def stratified(
    statistic: Callable[..., float],
    *scores: F64,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
) -> Interval:
    """The statistic of score tables (worlds, seeds), its seeds resampled within every world."""
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        drawn[i] = statistic(*(_resampled(table, rng) for table in scores))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(*scores), float(low), float(high))


def _resampled(table: F64, rng: np.random.Generator) -> F64:
    return np.take_along_axis(table, rng.integers(table.shape[1], size=table.shape), axis=1)
