"""When a bound excludes what it is asked about: sample sizes, first passages of random walks."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from offpolicy.estimators.terms import F64
from offpolicy.gate.verdict import GateRule
from offpolicy.intervals.bounds import sequence_radius
from offpolicy.plan.widening import Influences, errors_below, normal_errors, shape, spread_of_bound

GRID = 128  # times at which a passage is solved for, evenly spaced up to the end
OVERSHOOT = 0.5826  # -zeta(1/2) / sqrt(2 pi): a walk passes as a Brownian motion passes a boundary
# that lies so many standard deviations of one step further. Siegmund (1985)
TUNED = 0.5  # units at which a trial's bound is narrowest, as a share of the planned ones: within
# 1 % of the fewest units for power 80 % and confidence 80 to 99 %
STEEPEST = 64.0  # largest drift looked for
Wider = tuple[float, float, float]  # than a normal's bounds, at the TIMES
TIMES = (1 / 16, 1 / 4, 1.0)  # shares of a trial at which its bounds are set up
PLAIN: Wider = (1.0, 1.0, 1.0)
ROUNDS = 6  # of a fixed-point iteration, each several times nearer


def units_to_see(
    effect: float, power: float, rule: GateRule, influences: Influences | None = None
) -> float:
    """Independent units until ONE look at a log shows, with the rule's confidence and with `power`,
    a mean that lies `effect` > 0 standard deviations of a unit from what is asked about:
    ((errors to the bound + spread of the bound z_power) / effect)^2, by fixed-point iteration;
    without `influences` of a normal estimate. Of a `monitored` rule the bound is the one that holds
    at all looks together.
    """
    z_power, n = NormalDist().inv_cdf(power), (2.5 / effect) ** 2
    skewed = None if influences is None else shape(influences)
    for _ in range(ROUNDS):
        if influences is None or skewed is None:
            errors, spread = normal_errors(n, rule), 1.0
        else:
            errors = errors_below(influences, n, rule)
            spread = spread_of_bound(*skewed, n, errors)
        n = float(((errors + spread * z_power) / effect) ** 2)
    return n


@lru_cache(maxsize=256)
def passage(drift: float, alpha: float, looks: int, wider: Wider = PLAIN) -> F64:
    """(GRID,) chance that a confidence sequence has excluded what is asked about by the times
    1/GRID, ..., 1, in shares of the planned units, where the mean lies `drift` standard errors of
    the whole from it and `looks` looks are evenly spaced. `wider`: how much wider than a normal's
    the sequence is at the TIMES.

    First passage of Brownian motion over the sequence's boundary, from the Volterra equation
    P(X_t > b_t) = integral over s <= t of P(X_t - X_s > b_t - b_s) dF(s). Peskir (2002).
    """
    from scipy.special import ndtr

    end = np.arange(1, GRID + 1) / GRID
    middle = end - 0.5 / GRID
    further = OVERSHOOT / np.sqrt(looks)
    at_end, at_middle = (
        np.sqrt(t) * sequence_radius(t / TUNED, alpha) * _widening(t, wider) + further
        for t in (end, middle)
    )
    left = np.maximum(end[:, None] - middle, 0.5 / GRID)
    kernel = ndtr((drift * left - (at_end[:, None] - at_middle)) / np.sqrt(left))
    passed = np.linalg.solve(np.tril(kernel), ndtr((drift * end - at_end) / np.sqrt(end)))
    return np.asarray(np.clip(np.cumsum(np.maximum(passed, 0.0)), 0.0, 1.0))


def _widening(t: F64, wider: Wider) -> F64:
    """1 + excess, whose logarithm is interpolated in log t."""
    excess = np.log(np.maximum(np.array(wider) - 1, 1e-6))
    return np.asarray(1 + np.exp(np.interp(np.log(t), np.log(TIMES), excess)))


@lru_cache(maxsize=64)
def drift_to_see(power: float, alpha: float, looks: int, wider: Wider = PLAIN) -> float:
    """The drift of `passage` at which the chance at the end is `power`."""
    from scipy.optimize import brentq

    def short(drift: float) -> float:
        return float(passage(drift, alpha, looks, wider)[-1]) - power

    return float(brentq(short, 0.0, STEEPEST, xtol=1e-3))


def mean_time(passed: F64) -> float:
    """Expected time until the passage or the end, as a share of the planned units."""
    return float(1 - (np.append(0.0, passed[:-1]) + passed).mean() / 2)


def time_by(passed: F64, chance: float) -> float:
    """Time by which the passage has come with `chance`; 1, the end, where it may not have."""
    return float((np.searchsorted(passed, chance) + 1) / GRID) if passed[-1] >= chance else 1.0
