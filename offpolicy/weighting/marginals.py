"""Marginal weights of sessions: the ratio of state distributions, step by step."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.terms import F64, Terms, check_gamma, refuse_row_weights
from offpolicy.log.columns import check_no_missing
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64
from offpolicy.log.scores import Predictions, TargetScores, check_scores
from offpolicy.models.reward_model import next_rows

CONDITION = 1e12  # above it the balance of visits is singular
Kind = Literal["state", "state_action", "double", "stationary"]


def marginal_terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    state: ArrayLike,
    kind: Kind = "state",
    steps: int = 0,
    action: ArrayLike | None = None,
    model: Predictions | None = None,
    gamma: float = 1.0,
) -> Terms:
    """Terms of the marginal estimand. `state` (N,) are codes of a Markov state: what the next
    reward and state depend on, besides the action. Coarser codes bias the value.

    kind "state" (mis_state): rho_t(s) times the step's ratio. "state_action" (mis_state_action):
    its average over rows of the same step, state and action; `action` (N,) codes, by default the
    first position's item. "double" (drl): rho_t(s) ratio, and rho_t(s) on the model's value.
    "stationary" (mis_state): one w(s) for all steps, for sessions too long for cells per step; it
    holds gamma, and takes sessions that were cut as ended. Liu et al. (2018).

    `steps`: the ratios of the last so many steps are multiplied, and rho taken before them: 0 is
    rho alone, the whole length PDIS, between them less bias or less variance. Yuan et al. (2021).

    rho is learned from the same log; its own error is not in the interval.

    Raises:
        LogError: a session has missing steps, or the scores do not fit.
    """
    check_scores(log, scores)
    refuse_row_weights(log, "a marginal weight, which is learned from the rows,")
    check_gamma(gamma)
    log.require_whole_sessions("state weights are carried from step to step.")
    ratio = scores.propensity / log.propensity
    codes = _state_codes(state, len(log))
    if kind == "stationary":
        before = stationary_ratios(log, ratio, codes, gamma)
    else:
        before = lagged(log, ratio, state_ratios(log, ratio, codes), steps)
    weight = before * ratio
    if kind == "state_action":
        acted = _codes(log.slate[:, 0] if action is None else np.asarray(action))
        weight = _cell_means(weight, _cells(_cells(log.step, codes), acted))
    elif kind not in get_args(Kind):
        raise ValueError(f"no kind {kind!r}; there are {', '.join(get_args(Kind))}")
    q, v = (None, None) if model is None else model
    return Terms(
        weight,
        log.reward,
        q,
        v,
        log.unit,
        weight_before=before,
        discount=None if kind == "stationary" else gamma ** log.step.astype(np.float64),
        stratum=log.step.astype(np.int64),
        session=log.sessions,
        horizon="marginal",
        rows="steps",
    )


def state_ratios(log: LoggedDataset, ratio: F64, state: I64) -> F64:
    """rho_t(s_t) (N,): how much likelier the target is to be in the row's state at the row's step,
    by recursion: the mean of rho_{t-1} ratio_{t-1} over rows that came to s. Xie et al. (2019)."""
    following = next_rows(log)
    rho = np.ones(len(log))
    rows = np.flatnonzero(log.step == 0)
    while (rows := rows[following[rows] >= 0]).size:
        later = following[rows]
        rho[later] = _cell_means(rho[rows] * ratio[rows], state[later])
        rows = later
    return rho


def lagged(log: LoggedDataset, ratio: F64, rho: F64, steps: int) -> F64:
    """(N,) rho of the row `steps` before, times the ratios from there to the row before this; from
    the session's start where it is nearer."""
    if steps < 0:
        raise ValueError(f"steps = {steps}; it is the number of ratios multiplied, 0 or more")
    following = next_rows(log)
    back = np.full(len(log), -1, np.int64)
    back[following[following >= 0]] = np.flatnonzero(following >= 0)
    at, product = np.arange(len(log)), np.ones(len(log))
    for _ in range(min(steps, int(log.step.max()))):
        inside = back[at] >= 0
        at = np.where(inside, back[at], at)
        product[inside] *= ratio[at[inside]]
    return product * rho[at]


def stationary_ratios(log: LoggedDataset, ratio: F64, state: I64, gamma: float) -> F64:
    """w(s) (N,): discounted visits to the state under the target for each visit in the log, from
    the balance visits(s) = starts(s) + gamma * flow into s. Liu et al. (2018), tabular.

    Raises:
        ValueError: the balance has no one solution (gamma = 1 and states that are never left).
    """
    following, n_states = next_rows(log), int(state.max()) + 1
    seen = np.bincount(state, minlength=n_states).astype(np.float64)
    starts = np.bincount(state[log.step == 0], minlength=n_states).astype(np.float64)
    moved = np.flatnonzero(following >= 0)
    flow = np.zeros((n_states, n_states))
    np.add.at(flow, (state[following[moved]], state[moved]), ratio[moved])
    balance = np.diag(seen) - gamma * flow
    if np.linalg.cond(balance) > CONDITION:
        raise ValueError(
            "the target's visits cannot be solved for: with gamma = 1 it must be able to leave "
            "every state. Set gamma below 1, or use coarser states."
        )
    visits = np.linalg.solve(balance, starts)
    if (visits < -1e-9 * np.abs(visits).max()).any():
        raise ValueError(
            "the logged weights let some state be entered more often than visited: too few "
            "sessions for these states. Use coarser states, gamma below 1 or more sessions."
        )
    return np.asarray(np.maximum(visits, 0.0)[state])


def _state_codes(state: ArrayLike, n: int) -> I64:
    codes = np.asarray(state)
    if codes.shape != (n,):
        raise ValueError(f"state has shape {codes.shape}; it is ({n},), one code a decision")
    check_no_missing("state", codes, "Give the row a state, or drop its whole session.")
    return _codes(codes)


def _cell_means(x: F64, cell: I64) -> F64:
    """Each entry replaced by the mean of its cell."""
    _, code = np.unique(cell, return_inverse=True)
    return np.asarray((np.bincount(code, x) / np.bincount(code))[code])


def _codes(x: NDArray[np.generic]) -> I64:
    return np.asarray(np.unique(x, return_inverse=True)[1], np.int64)


def _cells(a: NDArray[np.integer], b: I64) -> I64:
    return a.astype(np.int64) * (int(b.max()) + 1) + b
