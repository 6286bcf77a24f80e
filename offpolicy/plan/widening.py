"""By how much bounds of finite logs and trials are wider than a normal's: skew, and what is unseen.

The gate's bounds are gamma bounds, wider where few units carry an estimate. What they will be with
n units is read off n units that stand at evenly spaced quantiles of the units of the present log.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64, I64
from offpolicy.gate.uplift_bounds import uplift_bounds
from offpolicy.gate.verdict import GateRule
from offpolicy.intervals.bounds import WATCHED, confidence_sequence, sequence_radius
from offpolicy.intervals.unseen import pair, unseen

MOST = 20_000  # units that are set up; widening shrinks as 1 / sqrt(n) beyond


class Influences(NamedTuple):
    """Influences of sessions on an uplift in another log."""

    psi: F64  # (S,) mean 0 under `chance`
    chance: F64  # (S,) how often the session comes there
    change: F64  # (S,) mean over the steps of what its weight changes
    outcome: F64  # (S,)


def errors_below(x: Influences, n: float, rule: GateRule) -> float:
    """Standard errors from an uplift down to the bound that the gate will have with n units."""
    size = int(np.clip(np.ceil(n), 2, MOST))
    at = evenly(x.psi, x.chance, size)
    units = np.arange(size)
    e = Estimate(0.0, x.psi[at] - x.psi[at].mean(), units)
    rare = unseen(e, pair(1 + x.change[at], x.outcome[at], units), against=1.0)
    i = uplift_bounds({"": e}, {"": rare}, rule)[""]
    wider = _later(-i.low / i.se / normal_errors(size, rule), size, n) if i.se > 0 else 1.0
    return wider * normal_errors(n, rule)


def normal_errors(n: float, rule: GateRule) -> float:
    """Standard errors from a value to its bound, of a normal estimate from n units."""
    if rule.monitored:
        return float(sequence_radius(n / WATCHED, 1 - rule.level))
    return NormalDist().inv_cdf(rule.confidence)


def _later(wider: float, size: int, n: float) -> float:
    """The widening at n units from that at `size` <= n."""
    return 1 + (wider - 1) * min(float(np.sqrt(size / n)), 1.0)


def shape(x: Influences) -> tuple[float, float]:
    """Skewness and kurtosis."""
    p, square = x.chance / x.chance.sum(), x.psi * x.psi
    variance = float(p @ square)
    return float(p @ (square * x.psi)) / variance**1.5, float(p @ (square * square)) / variance**2


def spread_of_bound(skew: float, kurtosis: float, n: float, errors: float) -> float:
    """Standard deviation of a lower bound that lies so many standard errors down, over the standard
    error: the mean of n units and its standard error move together where they are skewed."""
    square = 1 - errors * skew / np.sqrt(n) + errors**2 * (kurtosis - 1) / (4 * n)
    return float(np.sqrt(np.clip(square, 0.25, 4.0)))


class Arms(NamedTuple):
    """Returns of units in the two arms of a trial, and the share of the target's."""

    target: F64
    present: F64
    share: float

    def widening(self, n: float, alpha: float, tuned_at: float) -> tuple[float, float]:
        """By how much the confidence sequence of the difference is wider after n units than that
        of a normal: below the value, and above it."""
        size = int(np.clip(np.ceil(n), 8, MOST))
        served = min(max(round(size * self.share), 2), size - 2)
        parts = (
            evenly_of(self.target, served) * (size / served),
            -evenly_of(self.present, size - served) * (size / (size - served)),
        )
        e = Estimate(0.0, np.concatenate(parts), np.arange(size))
        ratio = n / tuned_at
        i = confidence_sequence(e, 1 - alpha, tuned_at=size / ratio)
        if not i.se > 0:  # so few units that none stands for what is rare
            return 1.0, 1.0
        normal = float(sequence_radius(ratio, alpha)) * i.se
        return _later(-i.low / normal, size, n), _later(i.high / normal, size, n)


def evenly(x: F64, chance: F64, n: int) -> I64:
    """(n,) which of x stand at n evenly spaced quantiles of them, drawn by `chance`."""
    order = np.argsort(x)
    total = np.cumsum(chance[order])
    at = np.searchsorted(total, (np.arange(n) + 0.5) / n * total[-1])
    return np.asarray(order[np.minimum(at, len(x) - 1)])


def evenly_of(x: F64, n: int) -> F64:
    """(n,) evenly spaced quantiles, less their mean."""
    part = x[evenly(x, np.ones(len(x)), n)]
    return np.asarray(part - part.mean())
