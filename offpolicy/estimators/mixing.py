"""Several estimates of one value as one: weights on the simplex, of least error, bias included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64

CLOSE = 0.1257  # normal quantile of a 10 % interval


def covariance_of(parts: Sequence[Estimate]) -> F64:
    """(J, J) of the values, from influences on the same units."""
    psi = np.stack([p.psi for p in parts])
    return np.asarray(psi @ psi.T / psi.shape[1] ** 2)


def least_error(parts: Sequence[Estimate], covariance: F64, anchor: Estimate, noise: F64) -> F64:
    """x >= 0 of sum 1 that makes x (covariance + bias bias') x least; a part's bias is its distance
    from the anchor beyond `noise` (J,)."""
    gap = np.array([p.value - anchor.value for p in parts])
    bias = np.sign(gap) * np.maximum(np.abs(gap) - noise, 0)
    return least_on_simplex(covariance + np.outer(bias, bias))


def mixed(parts: Sequence[Estimate], x: F64, anchor: Estimate, name: str) -> Estimate:
    """The mixture x of the parts. Whatever chose x, the anchor's interval holds the truth as often
    as it does alone: the mixture has the anchor's influence, and its bounds are moved out by its
    distance from the anchor."""
    value = float(sum(w * p.value for w, p in zip(x, parts, strict=True)))
    gap = anchor.value - value
    bias = (min(gap, 0.0), max(gap, 0.0))
    return Estimate(value, anchor.psi, anchor.unit, bias, name, anchor.horizon)


def least_on_simplex(m: F64) -> F64:
    """argmin x'Mx, x >= 0, sum x = 1. With M = A'A it is, up to its sum, the non-negative least
    squares solution of Ax = 0, sum x = 1: on every ray from 0 the same direction is best."""
    from scipy.optimize import nnls

    scale = max(float(np.trace(m)) / len(m), np.finfo(float).tiny)
    root = np.linalg.cholesky(m / scale + 1e-10 * np.eye(len(m))).T
    goal = np.append(np.zeros(len(m)), 1.0)
    x = np.asarray(nnls(np.vstack([root, np.ones(len(m))]), goal)[0], np.float64)
    return np.asarray(x / x.sum())
