"""CR(-2): reweighting the rows as little as possible so that their weights average 1, for a value
(`cr`) and for the values that need not too much of it (`intervals.bounds.cressie_read`).
Karampatziakis, Langford & Mineiro (2020)."""

from __future__ import annotations

import numpy as np

from offpolicy.errors import NoOverlapError
from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64, Terms

LEVEL = 1e-24  # spread of the weights, relative, under which they are all the same


def cr(t: Terms) -> Estimate:
    """Empirical likelihood with the Cressie-Read divergence of power -2: the shares q nearest to
    1 / n with sum q = 1 and sum q w = 1 give sum q w r, which is mean(w r) + (1 - mean w) beta with
    beta the slope of w r on w. One decision. The paper's made-up row, of share 1 / (n + 1), is left
    to `cressie_read`, which needs the known ranges; without it the value is smooth in the data.

    Raises:
        NoOverlapError: all weights are 0.
    """
    if t.weightless:
        raise NoOverlapError(
            "all weights are 0: no shares of the rows make their weights average 1. Log with more "
            "exploration, or try a closer policy."
        )
    x = t.weight * t.reward
    share = None if t.row_weight is None else t.row_weight / t.row_weight.sum()
    mean_w, mean_x = _mean(t.weight, share), _mean(x, share)
    w = t.weight - mean_w
    beta, spread = _slope(t.weight, x, share)
    moved = x - mean_x - beta * w
    if spread:
        moved = moved + (1 - mean_w) * w * moved / spread  # beta moves with the rows
    units = t.layout.units
    moved = moved / len(t) if share is None else moved * share
    psi = np.asarray(np.bincount(units.code, moved, units.n) * units.n, np.float64)
    value = mean_x + (1 - mean_w) * beta
    return Estimate(value, psi, t.unit[units.first], name="cr", horizon=t.horizon)


def least_divergence(w: F64) -> float:
    """Least sum((n q - 1)^2) with sum q = 1 and sum q w = 1."""
    spread = float(w.var())
    gap = 1 - float(w.mean())
    return len(w) * gap**2 / spread if spread > 0 else (np.inf if gap else 0.0)


def value_range(
    w: F64, x: F64, unseen_w: float, unseen_x: float, limit: float
) -> tuple[float, float]:
    """Least and largest value of (w, x) and the unseen unit within the limit; empty where none."""
    w, x = np.append(w, unseen_w), np.append(x, unseen_x)
    slack = limit - least_divergence(w)
    if slack < 0:
        return np.inf, -np.inf
    beta, _ = _slope(w, x)
    left = x - beta * (w - 1)  # its plain mean is the value with the weights' mean made 1
    half = np.sqrt(slack / len(w) * left.var())
    return float(left.mean() - half), float(left.mean() + half)


def _slope(w: F64, x: F64, share: F64 | None = None) -> tuple[float, float]:
    """Slope of x on w, and the variance of w; zeros where all w are the same. `share` (N,) of each
    row in the means."""
    mean = _mean(w, share)
    spread = _mean((w - mean) ** 2, share)
    if spread <= LEVEL * mean**2:
        return 0.0, 0.0
    return _mean((w - mean) * x, share) / spread, spread


def _mean(x: F64, share: F64 | None) -> float:
    return float(x.mean() if share is None else share @ x)
