"""Marginal weights of sessions: the ratio of state distributions, step by step."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.checks import require_whole_sessions
from offpolicy.groups import I64
from offpolicy.log import LoggedDataset
from offpolicy.reward_model import next_rows
from offpolicy.terms import F64, Terms
from offpolicy.weights import Predictions, TargetScores, check_scores

Kind = Literal["state", "state_action", "double"]


def marginal_terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    state: ArrayLike,
    kind: Kind = "state",
    action: ArrayLike | None = None,
    model: Predictions | None = None,
    gamma: float = 1.0,
) -> Terms:
    """Terms of the marginal estimand. `state` (N,) are codes of a Markov state: what the next
    reward and state depend on, besides the action. Coarser codes bias the value.

    kind "state" (mis_state): rho_t(s) times the step's ratio. "state_action" (mis_state_action):
    its average over rows of the same step, state and action; `action` (N,) codes, by default the
    first place's item. "double" (drl): rho_t(s) ratio, and rho_t(s) on the model's word.

    rho is learned from the same log; its own error is not in the interval.

    Raises:
        LogError: a session has missing steps, or the scores do not fit.
    """
    check_scores(log, scores)
    require_whole_sessions(log, "state weights are carried from step to step.")
    ratio = scores.propensity / log.propensity
    codes = _codes(np.asarray(state))
    rho = state_ratios(log, ratio, codes)
    weight = rho * ratio
    if kind == "state_action":
        acted = _codes(log.slate[:, 0] if action is None else np.asarray(action))
        weight = _cell_means(weight, _cells(_cells(log.step, codes), acted))
    elif kind not in ("state", "double"):
        raise ValueError(f"no kind {kind!r}; there are state, state_action, double")
    q, v = (None, None) if model is None else model
    return Terms(
        weight,
        log.reward,
        q,
        v,
        log.session if log.user is None else log.user,
        weight_before=rho,
        discount=gamma ** log.step.astype(np.float64),
        stratum=log.step.astype(np.int64),
        session=log.sessions,
        horizon="marginal",
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


def _cell_means(x: F64, cell: I64) -> F64:
    """Each entry replaced by the mean of its cell."""
    _, code = np.unique(cell, return_inverse=True)
    return np.asarray((np.bincount(code, x) / np.bincount(code))[code])


def _codes(x: NDArray[np.generic]) -> I64:
    return np.asarray(np.unique(x, return_inverse=True)[1], np.int64)


def _cells(a: NDArray[np.integer], b: I64) -> I64:
    return a.astype(np.int64) * (int(b.max()) + 1) + b
