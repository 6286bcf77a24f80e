"""Sessions: a row per step, weights multiply along the session, the value is per session.

Sessions may differ in length: one that ended keeps its last weight, with reward 0, in every later
step's normaliser. Steps are summed with their discount.
"""

from __future__ import annotations

from offpolicy.estimators.forms import Form, Ratio, Rows, per_session
from offpolicy.estimators.terms import F64


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
    return Form((Ratio(grown, _count(t)),))


def mean_weight(t: Rows) -> Form:
    """Mean weight of decisions, or of whole sessions: 1 under right propensities."""
    return Form((Ratio(t.weight * t.last if t.staged else t.weight, _count(t)),))


def _count(t: Rows) -> F64 | None:
    return per_session(t) if t.staged else None


def _normalised(t: Rows, top: F64, bottom: F64) -> Ratio:
    return Ratio(top, bottom, staged=True, carry=t.weight * t.last)
