"""Weight maps: less variance for a bias that is bounded and told.

A map w -> u is applied before the formula. The true weights average 1, so what the used ones miss
of that, times the rewards seen, bounds the bias; `engine` does it for every Form that names `used`.
"""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.forms import Form, Ratio, Rows
from offpolicy.estimators.terms import F64


def clipped_ips(t: Rows, *, cap: float = 10.0) -> Form:
    """Weights above `cap` are cut: less variance, biased by what was cut. Strehl et al. (2010)."""
    return _ips(t, np.minimum(t.weight, cap))


def clipped_dr(t: Rows, *, cap: float = 10.0) -> Form:
    """DR with weights cut at `cap`; pessimistic shrinkage of Su et al. (2020)."""
    return _dr(t, np.minimum(t.weight, cap))


def switch_dr(t: Rows, *, threshold: float = 10.0) -> Form:
    """DR where w <= threshold, the model alone elsewhere. Wang, Agarwal & Dudik (2017)."""
    return _dr(t, np.where(t.weight <= threshold, t.weight, 0.0))


def dros(t: Rows, *, shrinkage: float = 100.0) -> Form:
    """DR with optimistic shrinkage l w / (w^2 + l); infinity is DR. Su et al. (2020)."""
    if np.isinf(shrinkage):
        return _dr(t, t.weight)
    return _dr(t, shrinkage * t.weight / (t.weight**2 + shrinkage))


def subgaussian_ips(t: Rows, *, strength: float = 0.05) -> Form:
    """w / (1 - l + l w), l in (0, 1]: weights below 1 / l, and above themselves below 1.
    Metelli, Russo & Restelli (2021), s = 1."""
    return _ips(t, _subgaussian(t.weight, strength))


def subgaussian_dr(t: Rows, *, strength: float = 0.05) -> Form:
    """DR with sub-Gaussian weights. Metelli, Russo & Restelli (2021)."""
    return _dr(t, _subgaussian(t.weight, strength))


def exponential_ips(t: Rows, *, strength: float = 0.9) -> Form:
    """Exponentially smoothed weights w^a, a in (0, 1]; 1 is IPS. Korba & Portier (2022); Aouali et
    al. (2023) smooth the logging probability alone."""
    if not strength <= 1:
        raise ValueError(f"strength = {strength} of exponential weights must be at most 1")
    return _ips(t, t.weight**strength)


def log_smoothing_ips(t: Rows, *, strength: float = 0.05) -> Form:
    """log(1 + l w |r|) / l with the sign of r: pessimistic for r >= 0. Sakhi et al. (2024)."""
    if not np.isfinite(strength):
        raise ValueError(f"strength = {strength} of log smoothing must be finite")
    size = np.abs(t.reward)
    scale = strength * np.where(size > 0, size, 1.0)
    smoothed = np.log1p(scale * t.weight) / scale
    return _ips(t, np.where(size > 0, smoothed, t.weight))


def _subgaussian(w: F64, strength: float) -> F64:
    if not strength <= 1:
        raise ValueError(f"strength = {strength} of sub-Gaussian weights must be at most 1")
    return np.asarray(w / (1 - strength + strength * w))


def _ips(t: Rows, used: F64) -> Form:
    return Form((Ratio(used * t.reward),), used, t.reward)


def _dr(t: Rows, used: F64) -> Form:
    residual = t.reward - t.q_logged
    return Form((Ratio(t.v_target + used * residual),), used, residual)
