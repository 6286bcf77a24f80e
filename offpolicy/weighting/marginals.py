"""Marginal weights of sessions: the ratio of state distributions, step by step."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.estimators.terms import Learned, Terms, check_gamma, refuse_row_weights
from offpolicy.log.columns import check_no_missing
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64
from offpolicy.log.scores import Predictions, TargetScores, check_scores
from offpolicy.weighting.visits import (
    StationaryStates,
    StepStates,
    cells,
    codes,
    stationary_ratios,
)

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
    first position's item. "double" (drl): rho_t(s) ratio, and the previous row's weight on the
    model's value. "stationary" (mis_state): one w(s) for all steps, for sessions too long for cells
    per step; it holds gamma, and takes sessions that were cut as ended. Liu et al. (2018).

    `steps`: the ratios of the last so many steps are multiplied, and rho taken before them: 0 is
    rho alone, the whole length PDIS, between them less bias or less variance. Yuan et al. (2021).

    rho is learned from the same log; its error is part of every influence and interval (for codes
    that are Markov; `bootstrap` holds rho fixed and refuses these terms).

    Raises:
        LogError: a session has missing steps, or the scores do not fit.
    """
    check_scores(log, scores)
    refuse_row_weights(log, "a marginal weight, which is learned from the rows,")
    check_gamma(gamma)
    log.require_whole_sessions("state weights are carried from step to step.")
    if kind not in get_args(Kind):
        raise ValueError(f"no kind {kind!r}; there are {', '.join(get_args(Kind))}")
    ratio = scores.propensity / log.propensity
    own = _state_codes(state, len(log))
    if kind == "stationary":
        rho = stationary_ratios(log, ratio, own, gamma)
        weight, before = rho * ratio, rho
        learned: Learned = StationaryStates(log, ratio, own, gamma, rho)
    else:
        acted = None
        if kind == "state_action":
            acted = codes(log.slate[:, 0] if action is None else np.asarray(action))
            acted = cells(cells(log.step, own), acted)
        learned = steps_of = StepStates(log, ratio, own, steps, acted)
        weight, before = steps_of.weight, steps_of.weight_before
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
        rows="visits" if kind == "stationary" else "steps",
        learned=learned,
    )


def _state_codes(state: ArrayLike, n: int) -> I64:
    given = np.asarray(state)
    if given.shape != (n,):
        raise ValueError(f"state has shape {given.shape}; it is ({n},), one code a decision")
    check_no_missing("state", given, "Give the row a state, or drop its whole session.")
    return codes(given)
