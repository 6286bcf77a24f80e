"""The Terms of any estimand: which function weighs a log for which horizon."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from offpolicy.estimators.registry import ESTIMATORS
from offpolicy.estimators.terms import Terms
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import Predictions, TargetScores
from offpolicy.weighting.marginals import marginal_terms
from offpolicy.weighting.slates import slate_terms
from offpolicy.weighting.weights import Horizon, terms


def terms_of(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    horizon: Horizon,
    model: Predictions | None = None,
    gamma: float = 1.0,
    state: ArrayLike | None = None,
) -> Terms:
    """Terms of any estimand: `weights.terms`, or, for "marginal", those of state ratios.

    Raises:
        ValueError: "marginal" without `state`.
    """
    if horizon != "marginal":
        return terms(log, scores, horizon=horizon, model=model, gamma=gamma)
    if state is None:
        raise ValueError(
            'horizon="marginal" needs state (N,): codes of a Markov state, what the next reward '
            "and state depend on besides the slate"
        )
    return marginal_terms(log, scores, state=state, kind="double", model=model, gamma=gamma)


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
    t = terms_of(log, scores, horizon=horizon, model=model, gamma=gamma, state=state)
    by_name = dict.fromkeys(names, t)
    for name, record in ((n, ESTIMATORS[n]) for n in names if n in ESTIMATORS):
        if record.by_action and horizon == "marginal" and state is not None:
            by_name[name] = marginal_terms(
                log, scores, state=state, kind="state_action", gamma=gamma
            )
        elif record.weighting and horizon == "one_step":
            by_name[name] = slate_terms(log, scores, weighting=record.weighting)
    return t, by_name
