"""Estimate -> Interval. Units are independent, rows are not; differences are paired."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64

Side = Literal["both", "lower", "upper"]
Method = Literal["t", "normal"]
ROUNDING = 1e-12  # relative error of float64 sums and of products over some thousand steps


@dataclass(frozen=True, slots=True)
class Interval:
    """A value between bounds."""

    value: float
    low: float  # -inf for an upper bound alone
    high: float
    se: float  # of the value, clustered by unit
    level: float  # nominal coverage
    units: int  # independent units behind it
    bias: tuple[float, float] = (0.0, 0.0)  # by how much the bounds were moved out for bias


def interval(
    estimate: Estimate, level: float = 0.95, *, method: Method = "t", side: Side = "both"
) -> Interval:
    """Confidence interval from the influence of units, ratio-correct for self-normalised forms.

    An estimator that clips or shrinks its weights is biased: its bounds are moved out by the bound
    on that bias, and the interval says so.

    Raises:
        ValueError: fewer than 2 independent units, or a level outside (0, 1).
    """
    units = len(estimate.psi)
    if units < 2:
        raise ValueError(f"an interval needs 2 independent units, got {units}; log more sessions")
    check_level(level)
    se = standard_error(estimate)
    half = quantile(0.5 + level / 2 if side == "both" else level, units - 1, method) * se
    low = -np.inf if side == "upper" else estimate.value - half
    high = np.inf if side == "lower" else estimate.value + half
    return between(estimate, low, high, se, level)


def between(estimate: Estimate, low: float, high: float, se: float, level: float) -> Interval:
    """The interval [low, high] of an estimate, moved out by the bound on its bias."""
    bias, units = estimate.bias, len(estimate.psi)
    low, high = low + min(bias[0], 0.0), high + max(bias[1], 0.0)
    return Interval(estimate.value, low, high, se, level, units, bias)


def check_level(level: float) -> None:
    """Nominal coverage is a share.

    Raises:
        ValueError: it is not.
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is outside (0, 1); 0.95 is usual")


def standard_error(estimate: Estimate) -> float:
    """Clustered standard error, with the small-sample factor G / (G - 1)."""
    n = len(estimate.psi)
    if n < 2:
        raise ValueError(f"a standard error needs 2 independent units, got {n}; log more sessions")
    return float(np.sqrt(estimate.psi @ estimate.psi / (n - 1) / n))


def quantile(p: float, freedom: float, method: Method = "t") -> float:
    """Quantile of Student's t with `freedom` degrees, or of the normal."""
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(freedom, p) if method == "t" else ndtri(p))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a minus b on the SAME units: shared noise cancels in psi, so its interval is paired.

    Raises:
        ValueError: the two were not estimated on the same units.
    """
    if len(a.unit) != len(b.unit) or not bool((a.unit == b.unit).all()):
        raise ValueError(
            f"{a.name or 'a'} and {b.name or 'b'} were estimated on different units "
            f"({len(a.unit)} and {len(b.unit)}); a paired difference needs the same rows"
        )
    scale = max(abs(a.value), abs(b.value), _size(a.psi), _size(b.psi))
    value, psi = without_rounding(a.value - b.value, a.psi - b.psi, scale)
    return Estimate(
        value,
        psi,
        a.unit,
        (a.bias[0] - b.bias[1], a.bias[1] - b.bias[0]),
        f"{a.name} - {b.name}",
        a.horizon,
    )


def adjust(estimate: Estimate, control: Estimate, known: float = 0.0) -> Estimate:
    """Regression on a control variate whose expectation is `known`: same value in expectation, the
    variance that the two share removed. Of use where weights average 1 (trust them first)."""
    if _size(control.psi) <= ROUNDING * max(abs(known), 1.0):
        return estimate
    beta = float(estimate.psi @ control.psi) / float(control.psi @ control.psi)
    value, psi = without_rounding(
        estimate.value - beta * (control.value - known),
        estimate.psi - beta * control.psi,
        max(abs(estimate.value), _size(estimate.psi)),
    )
    return replace(estimate, value=value, psi=psi)


def without_rounding(value: float, psi: F64, scale: float) -> tuple[float, F64]:
    """Value and influence of a difference; what is smaller than the rounding error of numbers of
    size `scale` is 0, so that nothing is decided on it."""
    if abs(value) <= ROUNDING * scale:
        value = 0.0
    return value, np.zeros_like(psi) if _size(psi) <= ROUNDING * scale else psi


def _size(psi: F64) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(psi * psi)))
