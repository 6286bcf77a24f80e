"""Mean weights (T1, T2): they are 1 where propensities are right."""

from __future__ import annotations

import numpy as np

from offpolicy.diagnostics import effective
from offpolicy.doctor.candidate_table import (
    ENTRY,
    candidate_columns,
    first_propensity,
    propensity_mismatch,
)
from offpolicy.doctor.findings import ADVICE, Finding, Level, by_p_value, two_sided
from offpolicy.estimators import estimate
from offpolicy.estimators.terms import F64, LARGEST, Terms
from offpolicy.intervals.inference import standard_error
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores

FEW_LOW, FEW_HIGH = 200, 20  # effective rows below which a mean weight below, above 1 says nothing:
# weights have a long right tail, so that honest samples err low with a small standard error
FREE = 1e-6  # variance of a weight under which the row had no choice, but for rounding
BLOCK_ENTRIES = 1 << 22  # entries of a table over all items looked at together


def mean_weight_uniform(log: LoggedDataset) -> Finding:
    """T2: the uniform policy's mean weight, E[1 / (C p)] = 1 at the first place."""
    p = first_propensity(log)
    blocked = log.candidate_propensity is None or bool((log.candidate_propensity <= 0).any())
    if log.candidates is not None:
        count = (log.candidates >= 0).sum(1).astype(np.float64)
    else:
        count = np.full(len(log), float(log.n_items))
    with np.errstate(over="ignore"):  # reported as an overflow
        weight = 1 / (count * p)
    known = None if blocked else _exact_variance(log, count)
    return _mean_weight("mean weight, uniform target (T2)", log, weight, blocked, known)


def _exact_variance(log: LoggedDataset, count: F64) -> F64:
    """(N,) of T2's weights if the logged table is right."""
    square = np.zeros(len(log))
    for c in candidate_columns(log):
        square += np.divide(1.0, c.p, out=np.zeros(len(log)), where=c.item >= 0)
    return np.asarray(np.maximum(square / count**2 - 1, 0.0))


def mean_weight_target(log: LoggedDataset, scores: TargetScores) -> Finding:
    """T1: the target policy's mean weight."""
    with np.errstate(over="ignore"):  # reported as an overflow
        weight, known = scores.propensity / log.propensity, _exact_target_variance(log, scores)
    return _mean_weight("mean weight, target (T1)", log, weight, False, known)


def _exact_target_variance(log: LoggedDataset, scores: TargetScores) -> F64 | None:
    """As `_exact_variance`, for a target whose probability of every item is known; None where it is
    not, where slates have several places, or where it leaves the logger's support."""
    if log.candidate_propensity is None or scores.slate_weight is None or log.slate_size > 1:
        return None
    assert scores.slates is not None
    variance, size = np.empty(len(log)), max(BLOCK_ENTRIES // log.n_items, 1)
    for at in range(0, len(log), size):
        rows = slice(at, at + size)
        items, p = scores.slates[rows, :, 0], log.candidate_propensity[rows]
        target = np.zeros((len(items), log.n_items + 1))  # the last column: no item
        np.add.at(target, (np.arange(len(items))[:, None], items), scores.slate_weight[rows])
        if log.candidates is not None:
            target = np.take_along_axis(target, log.candidates[rows].astype(np.int64), 1)
        else:
            target = target[:, :-1]
        if (target > 0)[p <= 0].any() or np.abs(target.sum(1) - 1).max() > ENTRY:
            return None
        square = np.divide(target**2, p, out=np.zeros_like(p), where=p > 0).sum(1)
        variance[rows] = np.maximum(square - 1, 0.0)
    return variance


def _mean_weight(
    name: str, log: LoggedDataset, weight: F64, one_sided: bool, variance: F64 | None = None
) -> Finding:
    """`variance` (N,) of each weight if the table is right: draws are then independent given it,
    and the test is of the standardised weights, so that a few heavy rows do not dominate.
    Without it, or where the propensities are not the table's, it is of the mean weight against its
    own spread over units."""
    rule = "Mean weights are 1 under right propensities and full support."
    if not weight.max() <= LARGEST:
        observed = (
            f"a propensity of {log.propensity.min():.3g} gives a weight that overflows float64"
        )
        return Finding(name, Level.FAIL, observed, rule, ADVICE, row=int(weight.argmax()))
    unit, h = log.unit, log.row_weight
    e = estimate(Terms(weight, np.ones(len(weight)), None, None, unit, row_weight=h), "ips")
    se = standard_error(e) if len(e.psi) > 1 else np.inf
    ess = effective(weight if h is None else h * weight)
    if h is not None or (variance is not None and propensity_mismatch(log).any()):
        variance = None
    if variance is not None:
        se = float(np.sqrt(variance.sum())) / len(weight)
        ess = len(weight) / (1 + len(weight) * se**2)
    observed = f"{e.value:.4f} +- {se:.4f}, effective rows {ess:.0f}"
    if ess < (FEW_LOW if e.value < 1 else FEW_HIGH) or not np.isfinite(se):
        return Finding(name, Level.PASS, f"{observed}: too thin to tell", rule)
    z = _standardised(weight, variance) if variance is not None else _score(e.value - 1, se)
    finding = by_p_value(name, two_sided(z), observed, rule, ADVICE)
    if one_sided and z < 0 and finding.level is Level.FAIL:
        fix = "Log candidates, or widen support; " + ADVICE
        return Finding(
            name, Level.WARN, f"{observed}: or items without support", rule, fix, finding.p_value
        )
    return finding


def _standardised(weight: F64, variance: F64) -> float:
    """z of the weights, each in units of its own standard deviation."""
    free = variance > FREE  # elsewhere the weight is 1 for every draw
    z = (weight[free] - 1) / np.sqrt(variance[free])
    return float(z.sum() / np.sqrt(len(z))) if len(z) else 0.0


def _score(gap: float, se: float) -> float:
    return gap / se if se > 0 else float(np.sign(gap)) * np.inf if gap else 0.0
