"""One decision: every row is worth the same, its weight is pi_e / pi_b of the logged action."""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.forms import Form, Ratio, Rows, ones, per_session
from offpolicy.terms import F64


def ips(t: Rows) -> Form:
    """Inverse propensity score: mean(w r). Horvitz & Thompson (1952), Precup (2000)."""
    return Form((Ratio(t.weight * t.reward, ones(t)),))


def clipped_ips(t: Rows, *, cap: float = 10.0) -> Form:
    """Weights above `cap` are cut: less variance, biased by what was cut. Strehl et al. (2010)."""
    return _mapped_ips(t, np.minimum(t.weight, cap))


def snips(t: Rows) -> Form:
    """Self-normalised: sum(w r) / sum(w); inside the rewards. Swaminathan & Joachims (2015)."""
    return Form((Ratio(t.weight * t.reward, t.weight),))


def dm(t: Rows) -> Form:
    """Direct method: the model's word, unweighted; sessions: at their first step.
    Beygelzimer & Langford (2009)."""
    if t.staged:
        return Form((Ratio(t.v_target * t.first, per_session(t)),))
    return Form((Ratio(t.v_target, ones(t)),))


def dr(t: Rows) -> Form:
    """Model plus weighted residual; right if either is right. Dudik et al. (2011)."""
    return Form((Ratio(t.v_target + t.weight * (t.reward - t.q_logged), ones(t)),))


def sndr(t: Rows) -> Form:
    """DR with self-normalised weights on the residual. Thomas & Brunskill (2016)."""
    residual = t.weight * (t.reward - t.q_logged)
    return Form((Ratio(t.v_target, ones(t)), Ratio(residual, t.weight)))


def clipped_dr(t: Rows, *, cap: float = 10.0) -> Form:
    """DR with weights cut at `cap`; pessimistic shrinkage of Su et al. (2020)."""
    return _mapped_dr(t, np.minimum(t.weight, cap))


def switch_dr(t: Rows, *, threshold: float = 10.0) -> Form:
    """DR where w <= threshold, the model alone elsewhere. Wang, Agarwal & Dudik (2017)."""
    return _mapped_dr(t, np.where(t.weight <= threshold, t.weight, 0.0))


def dros(t: Rows, *, shrinkage: float = 100.0) -> Form:
    """DR with optimistic shrinkage l w / (w^2 + l); infinity is DR. Su et al. (2020)."""
    if np.isinf(shrinkage):
        return _mapped_dr(t, t.weight)
    shrunk = shrinkage * t.weight / np.maximum(t.weight**2 + shrinkage, np.finfo(float).tiny)
    return _mapped_dr(t, shrunk)


def _mapped_ips(t: Rows, used: F64) -> Form:
    return Form((Ratio(used * t.reward, ones(t)),), used, t.reward)


def _mapped_dr(t: Rows, used: F64) -> Form:
    residual = t.reward - t.q_logged
    return Form((Ratio(t.v_target + used * residual, ones(t)),), used, residual)
