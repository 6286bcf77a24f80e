"""One decision: every row is worth the same, its weight is pi_e / pi_b of the logged action."""

from __future__ import annotations

from offpolicy.estimators.forms import Form, Ratio, Rows, per_session


def ips(t: Rows) -> Form:
    """Inverse propensity score: mean(w r). Horvitz & Thompson (1952), Precup (2000)."""
    return Form((Ratio(t.weight * t.reward),))


def snips(t: Rows) -> Form:
    """Self-normalised: sum(w r) / sum(w); inside the rewards. Swaminathan & Joachims (2015)."""
    return Form((Ratio(t.weight * t.reward, t.weight),))


def dm(t: Rows) -> Form:
    """Direct method: the model's word, unweighted; sessions: at their first step.
    Beygelzimer & Langford (2009)."""
    if t.staged:
        return Form((Ratio(t.v_target * t.first, per_session(t)),))
    return Form((Ratio(t.v_target),))


def dr(t: Rows) -> Form:
    """Model plus weighted residual; right if either is right. Dudik et al. (2011)."""
    return Form((Ratio(t.v_target + t.weight * (t.reward - t.q_logged)),))


def sndr(t: Rows) -> Form:
    """DR with self-normalised weights on the residual. Thomas & Brunskill (2016)."""
    residual = t.weight * (t.reward - t.q_logged)
    return Form((Ratio(t.v_target), Ratio(residual, t.weight)))
