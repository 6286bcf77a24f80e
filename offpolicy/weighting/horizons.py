"""(log, target scores, horizon) -> Terms. The estimand is chosen here, and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.registry import ESTIMATORS
from offpolicy.estimators.terms import F64, Terms, check_gamma
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import in_group_order
from offpolicy.log.scores import Predictions, TargetScores, check_scores
from offpolicy.weighting.censoring import censoring
from offpolicy.weighting.marginals import marginal_terms
from offpolicy.weighting.slates import slate_terms

Horizon = Literal["one_step", "per_decision", "trajectory", "marginal"]
ESTIMAND: dict[str, str] = {
    "one_step": "expected reward of one decision, in states the logging policy reached",
    "per_decision": "expected return of a session the target policy serves from its start",
    "trajectory": "expected return of a session the target policy serves from its start",
    "marginal": "expected return of a session the target policy serves from its start",
}


def terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    horizon: Horizon,
    model: Predictions | None = None,
    gamma: float = 1.0,
    state: ArrayLike | None = None,
) -> Terms:
    """The statistics of a log under a target policy.

    `horizon` names the estimand and has no default:
    one_step: the target acts once, in states the LOGGING policy reached; `gamma` plays no part.
    per_decision: the target acts from the session's start; weights multiply along the session.
    trajectory: as per_decision, every step weighted by the product over the whole session.
    marginal: as per_decision, each step weighted by the ratio of its state's distributions; needs
    `state` (N,), codes of a Markov state (`marginal_terms`, kind "double").

    Sessions that the log cut (`log.truncated` before `log.max_steps`) are left out of per_decision
    and trajectory, and whole ones count for them (`censoring`).
    Rows are independent across users where the log names users, else across sessions.

    Raises:
        LogError: the scores do not fit the log, or a session estimand meets missing steps.
        ValueError: no such horizon, or "marginal" without `state`.
    """
    if horizon not in get_args(Horizon):
        raise ValueError(f"no horizon {horizon!r}; there are {', '.join(get_args(Horizon))}")
    if horizon == "marginal":
        if state is None:
            raise ValueError(
                'horizon="marginal" needs state (N,): codes of a Markov state, what the next '
                "reward and state depend on besides the slate"
            )
        return marginal_terms(log, scores, state=state, kind="double", model=model, gamma=gamma)
    check_scores(log, scores)
    check_gamma(gamma)
    with np.errstate(over="ignore"):  # Terms raise where one is not finite
        ratio = scores.propensity / log.propensity
    if horizon == "one_step":
        q, v = (None, None) if model is None else model
        h = log.row_weight
        return Terms(ratio, log.reward, q, v, log.unit, horizon=horizon, row_weight=h)
    return _session_terms(log, ratio, horizon, model, gamma)


def terms_by_estimator(
    log: LoggedDataset,
    scores: TargetScores,
    names: Sequence[str],
    *,
    horizon: Horizon,
    model: Predictions | None = None,
    gamma: float = 1.0,
    state: ArrayLike | None = None,
) -> tuple[Terms, dict[str, Terms]]:
    """The terms of an estimand, and those that each named estimator reads: the same object, but for
    slates (a row per position) and cells of state and action."""
    t = terms(log, scores, horizon=horizon, model=model, gamma=gamma, state=state)
    by_name = dict.fromkeys(names, t)
    for name, record in ((n, ESTIMATORS[n]) for n in names if n in ESTIMATORS):
        if record.by_action and horizon == "marginal" and state is not None:
            by_name[name] = marginal_terms(
                log, scores, state=state, kind="state_action", gamma=gamma
            )
        elif record.weighting and horizon == "one_step":
            by_name[name] = slate_terms(log, scores, weighting=record.weighting)
    return t, by_name


def _session_terms(
    log: LoggedDataset, ratio: F64, horizon: str, model: Predictions | None, gamma: float
) -> Terms:
    log.require_whole_sessions("the weight of a session is the product over ALL its steps.")
    running, before = running_product(log, ratio)
    cut = censoring(log)
    h = log.row_weight
    if cut is not None and cut.weight.any():
        whole = cut.weight[log.sessions]
        h = whole if h is None else h * whole
    if horizon == "trajectory":
        running = before = whole_product(log, running)
    q, v = (None, None) if model is None else model
    return Terms(
        running,
        log.reward,
        q,
        v,
        log.unit,
        weight_before=before,
        discount=None if gamma == 1 else gamma ** log.step.astype(np.float64),
        stratum=log.step.astype(np.int64),
        session=log.sessions,
        horizon=horizon,
        rows="steps",
        row_weight=h,
    )


def on_policy(t: Terms) -> Terms:
    """The same rows under the logging policy itself: weights 1, no model. What a target is compared
    with, pairwise."""
    return Terms(
        np.ones(len(t)),
        t.reward,
        None,
        None,
        t.unit,
        discount=t.discount,
        stratum=t.stratum,
        session=t.session,
        rows=t.rows,
        row_weight=t.row_weight,
    )


def running_product(log: LoggedDataset, ratio: F64) -> tuple[F64, F64]:
    """Products of `ratio` (N,) along each session: up to and with the row, and before it."""
    order = in_group_order(log.groups, log.step)
    code = log.sessions if order is None else log.sessions[order]
    running = cumulative_product(ratio if order is None else ratio[order], code)
    before = np.ones_like(running)
    inside = code[1:] == code[:-1]
    before[1:][inside] = running[:-1][inside]
    if order is None:
        return running, before
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return running[back], before[back]


def cumulative_product(x: F64, code: NDArray[np.int64]) -> F64:
    """Products along runs of equal `code`, a step at a time over all runs: exact, no logarithms."""
    out = x.copy()
    head = np.ones(len(x), bool)
    head[1:] = code[1:] != code[:-1]
    start = np.flatnonzero(head)
    length = np.diff(np.append(start, len(x)))
    step = 1
    while (alive := length > step).any():
        start, length = start[alive], length[alive]
        with np.errstate(over="ignore", invalid="ignore"):  # Terms raise where one is not finite
            out[start + step] *= out[start + step - 1]
        step += 1
    return out


def whole_product(log: LoggedDataset, running: F64) -> F64:
    """The last running product of each row's session, on all its rows."""
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))  # rows of a session stand in time order
    return np.asarray(running[last][log.sessions])
