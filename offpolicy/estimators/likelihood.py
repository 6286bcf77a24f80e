"""CR(-2): reweighting the rows as little as possible so that their weights average 1.
Karampatziakis, Langford & Mineiro (2020)."""

from __future__ import annotations

import numpy as np

from offpolicy.errors import NoOverlapError
from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import Terms

LEVEL = 1e-24  # spread of the weights, relative, under which they are all the same


def cr(t: Terms) -> Estimate:
    """Empirical likelihood with the Cressie-Read divergence of power -2: the shares q nearest to
    1 / n with sum q = 1 and sum q w = 1 give sum q w r, which is mean(w r) + (1 - mean w) beta with
    beta the slope of w r on w. One decision. The paper's made-up row, of share 1 / (n + 1), is left
    to `cressie_read`, which needs the known ranges; without it the value is smooth in the data.

    Raises:
        NoOverlapError: all weights are 0.
    """
    if not t.weight.any():
        raise NoOverlapError(
            "all weights are 0: no shares of the rows make their weights average 1. Log with more "
            "exploration, or try a closer policy."
        )
    x = t.weight * t.reward
    mean_w, mean_x = float(t.weight.mean()), float(x.mean())
    w = t.weight - mean_w
    spread = float((w**2).mean())
    same = spread <= LEVEL * mean_w**2
    beta = 0.0 if same else float((w * x).mean()) / spread
    moved = x - mean_x - beta * w
    if not same:
        moved = moved + (1 - mean_w) * w * moved / spread  # beta moves with the rows
    units = t.layout.units
    psi = np.asarray(np.bincount(units.code, moved, units.n) * (units.n / len(t)), np.float64)
    value = mean_x + (1 - mean_w) * beta
    return Estimate(value, psi, t.unit[units.first], name="cr", horizon=t.horizon)
