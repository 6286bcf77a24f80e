"""MAGIC: the blend of model and weights that looks best. Thomas & Brunskill (2016)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import Form, Ratio, Rows
from offpolicy.estimators.terms import F64, Terms

LENGTHS = 12  # most partial returns in the blend; longer sessions use evenly spaced ones
CLOSE = 0.1257  # normal quantile of a 10 % interval


def magic(t: Terms) -> Estimate:
    """g(j) trusts weights for the first j steps and the model after them; the blend x minimises
    x (covariance + bias bias') x over the simplex. Its influence holds x fixed."""
    parts = partial_returns(t)
    return blend(parts, blend_weights(parts), t.horizon)


def partial_returns(t: Terms) -> list[Estimate]:
    """The estimates g(-1) (the model alone) … g(T-1) (wdr)."""
    last = t.layout.strata[1] - 1
    steps = sorted({int(j) for j in np.linspace(-1, last, min(last + 2, LENGTHS)).round()})
    return list(estimate_forms(t, {str(j): _trusting(j) for j in steps}).values())


def blend_weights(parts: list[Estimate]) -> F64:
    """x on the simplex: least squared error as far as the data show it."""
    psi = np.stack([p.psi for p in parts])
    n = psi.shape[1]
    covariance = psi @ psi.T / n**2
    value = np.array([p.value for p in parts])
    half_width = CLOSE * np.sqrt(covariance[-1, -1])
    gap = value - value[-1]
    bias = np.sign(gap) * np.maximum(np.abs(gap) - half_width, 0)
    return _least_on_simplex(covariance + np.outer(bias, bias))


def blend(parts: list[Estimate], x: F64, horizon: str) -> Estimate:
    """Their mixture with fixed weights."""
    value = float(sum(w * p.value for w, p in zip(x, parts, strict=True)))
    psi = np.asarray(sum(w * p.psi for w, p in zip(x, parts, strict=True)))
    return Estimate(value, psi, parts[0].unit, (0.0, 0.0), "magic", horizon)


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


def _least_on_simplex(m: F64) -> F64:
    """argmin x'Mx, x >= 0, sum x = 1. With M = A'A it is, up to its sum, the non-negative least
    squares solution of Ax = 0, sum x = 1: on every ray from 0 the same direction is best."""
    from scipy.optimize import nnls

    scale = max(float(np.trace(m)) / len(m), np.finfo(float).tiny)
    root = np.linalg.cholesky(m / scale + 1e-10 * np.eye(len(m))).T
    goal = np.append(np.zeros(len(m)), 1.0)
    x = np.asarray(nnls(np.vstack([root, np.ones(len(m))]), goal)[0], np.float64)
    return np.asarray(x / x.sum())
