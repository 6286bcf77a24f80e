"""The interval of CR(-2): values that need not too unlikely a reweighting of the rows.
Karampatziakis, Langford & Mineiro (2020)."""

from __future__ import annotations

import numpy as np

from offpolicy.estimators import estimate
from offpolicy.estimators.terms import F64, Terms
from offpolicy.intervals.inference import Interval, check_level, standard_error

Range = tuple[float, float]


def cressie_read(
    terms: Terms, *, weight_range: Range, reward_range: Range, level: float = 0.95
) -> Interval:
    """Empirical-likelihood interval of one decision's value, of use where weights are few and heavy
    and the t interval too short.

    Beside the rows stands one that was never seen, with the weight of `weight_range` and the reward
    of `reward_range` that pushes the bound farthest; both ranges are what is KNOWN before looking
    (the largest target probability over the smallest propensity). A bound is the last value v whose
    least sum((n q - 1)^2), over shares q with sum q = 1, sum q w = 1 and sum q w r = v, stays
    within an F quantile of the least without the last condition. Rows of one unit are summed
    first; the unseen unit has as many rows as the mean one.

    Raises:
        ValueError: fewer than 3 units, or a weight or a reward outside its range.
    """
    from scipy.special import fdtri

    check_level(level)
    if not weight_range[0] <= 1 <= weight_range[1]:
        raise ValueError(f"weight_range = {weight_range} must hold 1, the mean of right weights")
    _check("weight", terms.weight, weight_range)
    _check("reward", terms.reward, reward_range)
    units = terms.layout.units
    if units.n < 3:
        raise ValueError(f"empirical likelihood needs 3 units, got {units.n}; log more sessions")
    w, x = (
        np.asarray(np.bincount(units.code, column, units.n) * (units.n / len(terms)), np.float64)
        for column in (terms.weight, terms.weight * terms.reward)
    )
    unseen = (weight_range[0], 1.0, weight_range[1])  # 1: the one that equal weights leave room for
    limit = min(_least(np.append(w, f)) for f in unseen) + float(fdtri(1, units.n - 1, level))
    bounds = [_bounds(w, x, f, f * r, limit) for f in unseen for r in reward_range]
    e = estimate(terms, "cr")
    low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    return Interval(
        float(np.clip(e.value, *reward_range)),
        float(np.clip(low, *reward_range)),
        float(np.clip(high, *reward_range)),
        standard_error(e),
        level,
        units.n,
    )


def _least(w: F64) -> float:
    """Least sum((n q - 1)^2) with sum q = 1 and sum q w = 1."""
    spread = float(w.var())
    gap = 1 - float(w.mean())
    return len(w) * gap**2 / spread if spread > 0 else (np.inf if gap else 0.0)


def _bounds(w: F64, x: F64, unseen_w: float, unseen_x: float, limit: float) -> Range:
    """Least and largest value of (w, x) and the unseen unit within the limit; empty where none."""
    w, x = np.append(w, unseen_w), np.append(x, unseen_x)
    slack = limit - _least(w)
    if slack < 0:
        return np.inf, -np.inf
    spread = float(w.var())
    beta = float(((w - w.mean()) * x).mean()) / spread if spread > 0 else 0.0
    left = x - beta * (w - 1)  # its plain mean is the value with the weights' mean made 1
    half = np.sqrt(slack / len(w) * left.var())
    return float(left.mean() - half), float(left.mean() + half)


def _check(name: str, x: F64, known: Range) -> None:
    if not (np.isfinite(known).all() and known[0] <= known[1]):
        raise ValueError(f"{name}_range = {known} must be two finite numbers, the lower first")
    off = np.flatnonzero(~((x >= known[0]) & (x <= known[1])))
    if off.size:
        row = int(off[0])
        raise ValueError(
            f"{name}[{row}] = {x[row]:.6g} is outside {name}_range {known}; the range is what is "
            "known before looking, not what was seen"
        )
