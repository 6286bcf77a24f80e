"""MAGIC: the blend of model and weights that looks best. Thomas & Brunskill (2016)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import Form, Ratio, Rows
from offpolicy.estimators.mixing import CLOSE, covariance_of, least_error, mixed
from offpolicy.estimators.terms import F64, Terms

LENGTHS = 12  # most partial returns in the blend; longer sessions use evenly spaced ones


def magic(t: Terms) -> Estimate:
    """g(j) trusts weights for the first j steps and the model after them; the blend x minimises
    x (covariance + bias bias') x over the simplex. The blend is chosen on the same rows, so that
    the interval is that of g(T-1), wdr, moved out to hold the blend."""
    parts = partial_returns(t)
    return mixed(parts, blend_weights(parts), parts[-1], "magic")


def partial_returns(t: Terms) -> list[Estimate]:
    """The estimates g(-1) (the model alone) … g(T-1) (wdr)."""
    last = t.layout.strata[1] - 1
    steps = sorted({int(j) for j in np.linspace(-1, last, min(last + 2, LENGTHS)).round()})
    return list(estimate_forms(t, {str(j): _trusting(j) for j in steps}).values())


def blend_weights(parts: list[Estimate]) -> F64:
    """x on the simplex: least squared error as far as the data show it; a part is biased by as much
    as it lies outside a 10 % interval of the last."""
    covariance = covariance_of(parts)
    half_width = CLOSE * np.sqrt(covariance[-1, -1])
    return least_error(parts, covariance, parts[-1], np.full(len(parts), half_width))


def _trusting(j: int) -> Callable[[Rows], Form]:
    """wdr up to step j, the model for what follows."""

    def form(t: Rows) -> Form:
        inside, entered = t.stratum <= j, t.stratum <= j + 1
        residual = t.discount * t.weight * (t.reward - t.q_logged) * inside
        modelled = t.discount * t.weight_before * t.v_target * entered
        carry = t.weight * t.last
        return Form(
            (
                Ratio(residual, t.weight, staged=True, carry=carry),
                Ratio(modelled, t.weight_before, staged=True, carry=carry),
            )
        )

    return form
