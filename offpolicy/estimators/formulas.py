"""The estimators' formulas: one decision, one decision with changed weights, sessions and slates.

One decision: every row counts alike, its weight is pi_e / pi_b of the logged action. Sessions: a
row per step, weights multiply along the session, the value is per session and steps are summed with
their discount; a session that ended keeps its last weight, with reward 0, in every later step's
normaliser. Slates are sessions whose steps are positions; estimators with marginal or other weights
are these formulas on their own Terms (`registry`).
"""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.forms import Form, Ratio, Rows, per_session
from offpolicy.estimators.terms import F64


def ips(t: Rows) -> Form:
    """Inverse propensity score: mean(w r). Horvitz & Thompson (1952), Precup (2000)."""
    return Form((Ratio(t.weight * t.reward),))


def snips(t: Rows) -> Form:
    """Self-normalised: sum(w r) / sum(w); inside the rewards. Swaminathan & Joachims (2015)."""
    return Form((Ratio(t.weight * t.reward, t.weight),))


def dm(t: Rows) -> Form:
    """Direct method: the model's prediction, unweighted; sessions: at their first step. Its
    interval leaves out the model's error and does not hold. Beygelzimer & Langford (2009)."""
    if t.staged:
        return Form((Ratio(t.v_target * t.first, per_session(t)),), weighs=False)
    return Form((Ratio(t.v_target),), weighs=False)


def dr(t: Rows) -> Form:
    """Model plus weighted residual; right if either is right. Dudik et al. (2011)."""
    return Form((Ratio(t.v_target + t.weight * (t.reward - t.q_logged)),))


def sndr(t: Rows) -> Form:
    """DR with self-normalised weights on the residual. Thomas & Brunskill (2016)."""
    residual = t.weight * (t.reward - t.q_logged)
    return Form((Ratio(t.v_target), Ratio(residual, t.weight)))


# Changed weights w -> u: less variance. The true weights average 1, so what the used ones miss of
# that, times the rewards seen, bounds the bias; `engine` does it for every Form that names `used`.


def clipped_ips(t: Rows, *, cap: float = 10.0) -> Form:
    """Weights above `cap` are cut: less variance, biased by what was cut. Strehl et al. (2010)."""
    return _changed_ips(t, _clipped(t.weight, cap))


def clipped_dr(t: Rows, *, cap: float = 10.0) -> Form:
    """DR with weights cut at `cap`; pessimistic shrinkage of Su et al. (2020)."""
    return _changed_dr(t, _clipped(t.weight, cap))


def switch_dr(t: Rows, *, threshold: float = 10.0) -> Form:
    """DR where w <= threshold, the model alone elsewhere. Wang, Agarwal & Dudik (2017)."""
    if np.isinf(threshold):
        return _changed_dr(t, t.weight)
    return _changed_dr(t, np.where(t.weight <= threshold, t.weight, 0.0))


def dros(t: Rows, *, shrinkage: float = 100.0) -> Form:
    """DR with optimistic shrinkage l w / (w^2 + l); infinity is DR. Su et al. (2020)."""
    if np.isinf(shrinkage):
        return _changed_dr(t, t.weight)
    return _changed_dr(t, shrinkage * t.weight / (t.weight**2 + shrinkage))


def subgaussian_ips(t: Rows, *, strength: float = 0.05) -> Form:
    """w / (1 - l + l w), l in [0, 1]: weights below 1 / l, and above themselves below 1; 0 is IPS.
    Metelli, Russo & Restelli (2021), s = 1."""
    return _changed_ips(t, _subgaussian(t.weight, strength))


def subgaussian_dr(t: Rows, *, strength: float = 0.05) -> Form:
    """DR with sub-Gaussian weights; strength 0 is DR. Metelli, Russo & Restelli (2021)."""
    return _changed_dr(t, _subgaussian(t.weight, strength))


def exponential_ips(t: Rows, *, strength: float = 0.9) -> Form:
    """Exponentially smoothed weights w^a, a in (0, 1]; 1 is IPS. Korba & Portier (2022); Aouali et
    al. (2023) smooth the logging probability alone."""
    if not strength <= 1:
        raise ValueError(f"strength = {strength} of exponential weights must be at most 1")
    return _changed_ips(t, t.weight if strength == 1 else t.weight**strength)


def log_smoothing_ips(t: Rows, *, strength: float = 0.05) -> Form:
    """log(1 + l w |r|) / l with the sign of r: pessimistic for r >= 0; l = 0 is IPS.
    Sakhi et al. (2024)."""
    if not np.isfinite(strength):
        raise ValueError(f"strength = {strength} of log smoothing must be finite")
    if strength == 0:
        return _changed_ips(t, t.weight)
    size = np.abs(t.reward)
    scale = strength * np.where(size > 0, size, 1.0)
    smoothed = np.log1p(scale * t.weight) / scale
    return _changed_ips(t, np.where(size > 0, smoothed, t.weight))


def _clipped(w: F64, cap: float) -> F64:
    return w if np.isinf(cap) else np.asarray(np.minimum(w, cap))


def _subgaussian(w: F64, strength: float) -> F64:
    if not strength <= 1:
        raise ValueError(f"strength = {strength} of sub-Gaussian weights must be at most 1")
    return w if strength == 0 else np.asarray(w / (1 - strength + strength * w))


def _changed_ips(t: Rows, used: F64) -> Form:
    """A setting that leaves the weights as they are, whatever they are, leaves no bias."""
    if used is t.weight:
        return ips(t)
    return Form((Ratio(used * t.reward),), used, t.reward)


def _changed_dr(t: Rows, used: F64) -> Form:
    if used is t.weight:
        return dr(t)
    residual = t.reward - t.q_logged
    return Form((Ratio(t.v_target + used * residual),), used, residual)


def pdis(t: Rows) -> Form:
    """Per-decision importance sampling: each step weighted by the product so far. Precup (2000)."""
    return Form((Ratio(t.discount * t.weight * t.reward, per_session(t)),))


def snpdis(t: Rows) -> Form:
    """PDIS whose weights are divided, step by step, by their mean over sessions.
    Thomas & Brunskill (2016)."""
    return Form((_normalised(t, t.discount * t.weight * t.reward, t.weight),))


def tis(t: Rows) -> Form:
    """Trajectory-wise importance sampling: the return weighted by the product over the whole
    session (terms of horizon "trajectory"). Precup (2000)."""
    return pdis(t)


def sntis(t: Rows) -> Form:
    """TIS divided by the sum of session weights instead of their number. Precup (2000)."""
    return Form((Ratio(t.discount * t.weight * t.reward, t.weight * t.last),))


def seq_dr(t: Rows) -> Form:
    """Doubly robust for sessions: w (r - q) + w_before v, with q and v of the return from the step
    on. Jiang & Li (2016), Thomas & Brunskill (2016)."""
    row = t.weight * (t.reward - t.q_logged) + t.weight_before * t.v_target
    return Form((Ratio(t.discount * row, per_session(t)),))


def wdr(t: Rows) -> Form:
    """Weighted doubly robust: seq_dr with both weights normalised step by step.
    Thomas & Brunskill (2016)."""
    residual = t.discount * t.weight * (t.reward - t.q_logged)
    modelled = t.discount * t.weight_before * t.v_target
    return Form((_normalised(t, residual, t.weight), _normalised(t, modelled, t.weight_before)))


def martingale(t: Rows) -> Form:
    """Sum of weight increments, each with the number of steps still to come: expectation 0 under
    right propensities, and correlated with every weighted sum. The control variate."""
    grown = (t.weight - t.weight_before) * (t.n_strata - t.stratum if t.staged else 1.0)
    return Form((Ratio(grown, _count(t)),), weighs=False)


def mean_weight(t: Rows) -> Form:
    """Mean weight of decisions, or of whole sessions: 1 under right propensities."""
    return Form((Ratio(t.weight * t.last if t.staged else t.weight, _count(t)),), weighs=False)


def _count(t: Rows) -> F64 | None:
    return per_session(t) if t.staged else None


def _normalised(t: Rows, top: F64, bottom: F64) -> Ratio:
    return Ratio(top, bottom, staged=True, carry=t.weight * t.last)
