"""How far into a session a log can speak for a target: estimate and effective sample by horizon."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.diagnostics import ENOUGH, effective
from offpolicy.estimators import estimate_all
from offpolicy.estimators.terms import F64, I64
from offpolicy.intervals.inference import interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.sessions.steps import Curve
from offpolicy.weighting.censoring import first_steps
from offpolicy.weighting.horizons import on_policy, terms


class Reach(NamedTuple):
    """Value of the first h decisions of a session, for several h."""

    steps: I64  # (P,) h
    estimate: Curve  # (P,) of the target, self-normalised per decision
    logged: Curve  # (P,) of the logging policy on the same rows
    ess: F64  # (P,) effective sessions or users at the h-th decision
    trusted: NDArray[np.bool_]  # (P,) at least 100 of them are left


def by_horizon(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    level: float = 0.95,
    points: int = 12,
) -> Reach:
    """What the log says of the target's first h decisions, from h = 1 to the longest session.

    Weights multiply along the session, so the effective sample shrinks with h; where it has fallen
    below 100 units the estimate is not to be believed. Estimates are `snpdis`; at most `points`
    values of h, evenly spaced.

    Raises:
        LogError: the scores do not fit the log, or a session has missing steps.
        ValueError: fewer than 2 units, or a level outside (0, 1).
    """
    longest = int(log.step.max()) + 1
    at = np.unique(np.linspace(1, longest, min(points, longest)).round().astype(np.int64))
    target, logged, ess = list[F64](), list[F64](), list[float]()
    for h in at.tolist():
        part = first_steps(log, h)
        t = terms(part, TargetScores(scores.propensity[log.step < h]), horizon="per_decision")
        last, units = t.layout.last, t.layout.units
        total = np.bincount(units.code[last], t.weight[last], units.n)
        ess.append(effective(np.asarray(total, np.float64)))
        for out, these, name in ((target, t, "snpdis"), (logged, on_policy(t), "pdis")):
            if not ess[-1]:
                out.append(np.array([np.nan, -np.inf, np.inf]))
                continue
            i = interval(estimate_all(these, [name])[name], level)
            out.append(np.array([i.value, i.low, i.high]))
    value, base = (Curve(*np.array(x).T) for x in (target, logged))
    return Reach(at, value, base, np.array(ess), np.array(ess) >= ENOUGH)
