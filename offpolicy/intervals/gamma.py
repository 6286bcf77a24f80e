"""Gamma intervals: bounds for sums that few or heavy contributions carry."""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.inference import (
    Interval,
    between,
    check_level,
    interval,
    quantile,
    standard_error,
)

Unseen = tuple[float, float]  # sizes of the influences below and above 0 that a log may have missed


def gamma_interval(
    estimate: Estimate, level: float = 0.95, *, unseen: Unseen = (0.0, 0.0)
) -> Interval:
    """Interval whose bounds follow the skew of the influences and leave room for units that the
    log happens not to hold; it approaches `interval` as units grow many.

    Influences above 0 and below 0 are two sums of weighted Poisson counts, each with the gamma
    bounds of Fay & Feuer (1997), joined by the method of Zou & Donner (2008). `unseen` are the
    sizes of the largest influences (below 0, above 0) of a unit that may be missing; a rate of
    which no event was seen then has an upper bound above 0.

    Raises:
        ValueError: fewer than 2 independent units, a level outside (0, 1), a negative size.
    """
    units = len(estimate.psi)
    if units < 2:
        raise ValueError(f"an interval needs 2 independent units, got {units}; log more sessions")
    check_level(level)
    if not min(unseen) >= 0:
        raise ValueError(f"unseen = {unseen}; it is two sizes, none below 0")
    if not estimate.psi.any() and not any(unseen):
        return interval(estimate, level)
    low, high = gamma_bounds(estimate, 0.5 - level / 2, unseen)
    return between(estimate, low, high, standard_error(estimate), level)


def gamma_bounds(estimate: Estimate, miss: float, unseen: Unseen) -> tuple[float, float]:
    """Bounds that each miss with probability `miss`, of 2 units or more."""
    units = len(estimate.psi)
    scale = quantile(miss, units - 1) / quantile(miss, units - 1, "normal") / units
    down, up = (_distances(part, size, miss) for part, size in _parts(estimate.psi, unseen))
    low = float(np.hypot(up[0], down[1])) * scale
    high = float(np.hypot(up[1], down[0])) * scale
    return estimate.value - low, estimate.value + high


def _parts(psi: F64, unseen: Unseen) -> tuple[tuple[F64, float], tuple[F64, float]]:
    return (np.maximum(-psi, 0.0), unseen[0]), (np.maximum(psi, 0.0), unseen[1])


def _distances(x: F64, unseen: float, miss: float) -> tuple[float, float]:
    """From the sum of x >= 0 down and up to its bounds."""
    from scipy.special import chdtri

    size = max(float(x.max()), unseen)  # in these units sums of squares neither over- nor underflow
    if size == 0:
        return 0.0, 0.0
    x, more = x / size, unseen / size
    total, square = float(x.sum()), float(x @ x)
    low = square / (2 * total) * chdtri(2 * total**2 / square, 1 - miss) if total > 0 else 0.0
    after, with_unseen = total + more, square + more**2
    high = with_unseen / (2 * after) * chdtri(2 * after**2 / with_unseen, miss)
    return (total - float(low)) * size, (float(high) - total) * size
