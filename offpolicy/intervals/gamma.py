"""Gamma intervals: bounds for sums that few or heavy contributions carry."""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.inference import (
    Interval,
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
    if len(unseen) != 2 or not min(unseen) >= 0:
        raise ValueError(f"unseen = {unseen}; it is two sizes, none below 0")
    if not estimate.psi.any() and not any(unseen):
        return interval(estimate, level)
    return gamma_within(estimate, 0.5 - level / 2, level, unseen)


def seen(psi: F64) -> Unseen:
    """Sizes of the largest influences below and above 0 that the log holds."""
    return max(-float(psi.min()), 0.0), max(float(psi.max()), 0.0)


def gamma_within(estimate: Estimate, miss: float, level: float, unseen: Unseen) -> Interval:
    """Bounds that each miss with probability `miss`, of 2 units or more; of an estimator that
    changes its weights, from the bounds that its bias leaves, each with its own influence."""
    se, units, bias = standard_error(estimate), len(estimate.psi), estimate.bias
    if np.isnan(estimate.value):
        return Interval(estimate.value, -np.inf, np.inf, se, level, units, bias)
    value = estimate.value
    low, high = (value + d for d in _distances(estimate.psi, miss, unseen))
    low, high = low + min(bias[0], 0.0), high + max(bias[1], 0.0)
    if estimate.ends is not None:
        below, above = estimate.ends
        low = min(value + bias[0], below.value) + _distances(below.psi, miss, unseen)[0]
        high = max(value + bias[1], above.value) + _distances(above.psi, miss, unseen)[1]
    return Interval(value, low, high, se, level, units, bias)


def _distances(psi: F64, miss: float, unseen: Unseen) -> tuple[float, float]:
    """From the value down (below 0) and up to its bounds."""
    units = len(psi)
    scale = quantile(miss, units - 1) / quantile(miss, units - 1, "normal") / units
    down, up = (_of_sum(part, size, miss) for part, size in _parts(psi, unseen))
    return (
        -float(np.hypot(up[0], down[1])) * scale,
        float(np.hypot(up[1], down[0])) * scale,
    )


def _parts(psi: F64, unseen: Unseen) -> tuple[tuple[F64, float], tuple[F64, float]]:
    return (np.maximum(-psi, 0.0), unseen[0]), (np.maximum(psi, 0.0), unseen[1])


def _of_sum(x: F64, unseen: float, miss: float) -> tuple[float, float]:
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
