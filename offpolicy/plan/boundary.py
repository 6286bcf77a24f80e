"""When a bound excludes what it is asked about: sample sizes, first passages of random walks."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from offpolicy.estimators.terms import F64
from offpolicy.gate.verdict import GateRule
from offpolicy.intervals.bounds import WATCHED, sequence_radius

GRID = 256  # times at which a passage is solved for, evenly spaced up to the end
OVERSHOOT = 0.5826  # -zeta(1/2) / sqrt(2 pi): a walk passes as a Brownian motion passes a boundary
# that lies so many standard deviations of one step further. Siegmund (1985)
TUNED = 0.5  # units at which a trial's bound is narrowest, as a share of the planned ones: within
# 1 % of the fewest units for power 80 % and confidence 80 to 99 %
STEEPEST = 64.0  # largest drift looked for


def units_to_see(effect: float, power: float, rule: GateRule) -> float:
    """Independent units until ONE look at a log shows, with the rule's confidence and with `power`,
    a mean that lies `effect` standard deviations of a unit from what is asked about, > 0:
    ((z_confidence + z_power) / effect)^2; with `rule.monitored` the bound that holds at all looks
    stands for z_confidence."""
    z_power = NormalDist().inv_cdf(power)
    fixed = ((NormalDist().inv_cdf(rule.confidence) + z_power) / effect) ** 2
    if not rule.monitored:
        return float(fixed)
    low, high = fixed, 100 * max(fixed, 1.0)
    while _short(high, effect, z_power, rule):
        high *= 4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _short(middle, effect, z_power, rule) else (low, middle)
    return float(high)


def _short(units: float, effect: float, z_power: float, rule: GateRule) -> bool:
    radius = float(sequence_radius(units / WATCHED, 1 - rule.level))
    return bool(effect * np.sqrt(units) < radius + z_power)


@lru_cache(maxsize=256)
def passage(drift: float, alpha: float, looks: int) -> F64:
    """(GRID,) chance that a confidence sequence has excluded what is asked about by the times
    1/GRID, ..., 1, in shares of the planned units, where the mean lies `drift` standard errors of
    the whole from it and `looks` looks are evenly spaced.

    First passage of Brownian motion over the sequence's boundary, from the Volterra equation
    P(X_t > b_t) = integral over s <= t of P(X_t - X_s > b_t - b_s) dF(s). Peskir (2002).
    """
    from scipy.special import ndtr

    end = np.arange(1, GRID + 1) / GRID
    middle = end - 0.5 / GRID
    further = OVERSHOOT / np.sqrt(looks)
    at_end, at_middle = (
        np.sqrt(t) * sequence_radius(t / TUNED, alpha) + further for t in (end, middle)
    )
    left = np.maximum(end[:, None] - middle, 0.5 / GRID)
    kernel = ndtr((drift * left - (at_end[:, None] - at_middle)) / np.sqrt(left))
    passed = np.linalg.solve(np.tril(kernel), ndtr((drift * end - at_end) / np.sqrt(end)))
    return np.asarray(np.clip(np.cumsum(np.maximum(passed, 0.0)), 0.0, 1.0))


@lru_cache(maxsize=64)
def drift_to_see(power: float, alpha: float, looks: int) -> float:
    """The drift of `passage` at which the chance at the end is `power`, by bisection."""
    low, high = 0.0, STEEPEST
    for _ in range(32):
        middle = (low + high) / 2
        low, high = (middle, high) if passage(middle, alpha, looks)[-1] < power else (low, middle)
    return high


def mean_time(passed: F64) -> float:
    """Expected time until the passage or the end, as a share of the planned units."""
    return float(1 - (np.append(0.0, passed[:-1]) + passed).mean() / 2)


def time_by(passed: F64, chance: float) -> float:
    """Time by which the passage has come with `chance`; 1, the end, where it may not have."""
    return float((np.searchsorted(passed, chance) + 1) / GRID) if passed[-1] >= chance else 1.0
