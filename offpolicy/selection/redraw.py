"""Logs like the user's with known truth: which estimator errs least, and whose interval holds?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from offpolicy.diagnostics import diagnose
from offpolicy.estimators import estimate_all
from offpolicy.estimators.terms import refuse_row_weights
from offpolicy.intervals.inference import interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.selection.populations import Decisions, Rows, Sessions, decisions_of, sessions_of


class EstimatorScore(NamedTuple):
    """How an estimator did over the redrawn logs."""

    estimator: str
    rmse: float
    bias: float
    coverage: float  # of nominal 95 % intervals
    width: float


def score_estimators(
    log: LoggedDataset,
    names: Sequence[str],
    *,
    tilt: float = 1.0,
    redraws: int = 100,
    seed: int = 0,
) -> tuple[list[EstimatorScore], float]:
    """Scores, least error first, and the mean effective share of the redrawn logs. `tilt` is in
    standard deviations of the model's rewards.

    Where the log holds no full distribution, or one over more than 256 candidates, its rows
    themselves are the actions: they are drawn with replacement and the tilt is over rows.

    Raises:
        ValueError: no names, no redraws, or a tilt that is not finite.
    """
    _check_settings(names, tilt, redraws)
    refuse_row_weights(log, "redrawing a log like this one")
    rng = np.random.default_rng(seed)
    return _scores(decisions_of(log, tilt, rng), names, redraws, rng)


def score_session_estimators(
    log: LoggedDataset,
    names: Sequence[str],
    *,
    tilt: float = 1.0,
    redraws: int = 100,
    seed: int = 0,
) -> tuple[list[EstimatorScore], float]:
    """As `score_estimators`, for the per_decision estimand; the share is of effective sessions.

    Raises:
        ValueError: no names, no redraws, or a tilt that is not finite.
        LogError: the log holds no candidate_propensity, or sessions with missing steps.
    """
    _check_settings(names, tilt, redraws)
    refuse_row_weights(log, "redrawing a log like this one")
    rng = np.random.default_rng(seed)
    return _scores(sessions_of(log, tilt, rng), names, redraws, rng)


def _scores(
    population: Decisions | Rows | Sessions,
    names: Sequence[str],
    redraws: int,
    rng: np.random.Generator,
) -> tuple[list[EstimatorScore], float]:
    """Scores over logs drawn from a population whose truth is known, and their effective share."""
    truth, shares = population.truth, []
    outcomes: dict[str, list[tuple[float, bool, float]]] = {n: [] for n in names}
    for _ in range(redraws):
        t = population.redraw(rng)
        shares.append(diagnose(t).ess_share)
        for name, e in estimate_all(t, names).items():
            i = interval(e)
            outcomes[name].append((e.value - truth, i.low <= truth <= i.high, i.high - i.low))
    scores = []
    for name, rows in outcomes.items():
        x = np.array(rows, np.float64)
        rmse = float(np.sqrt((x[:, 0] ** 2).mean()))
        scores.append(EstimatorScore(name, rmse, *(float(m) for m in x.mean(0))))
    return sorted(scores, key=lambda s: s.rmse), float(np.mean(shares))


def _check_settings(names: Sequence[str], tilt: float, redraws: int) -> None:
    if not names or redraws < 1 or not np.isfinite(tilt):
        raise ValueError(
            f"names = {list(names)}, redraws = {redraws}, tilt = {tilt}: scoring needs estimators, "
            "a redraw at least and a finite tilt"
        )
