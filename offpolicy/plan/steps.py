"""The furthest mixture of the logging policy and the target that a log can judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from offpolicy.diagnostics import diagnose, effective, of_spread
from offpolicy.estimators.registry import estimate
from offpolicy.estimators.terms import F64, Terms
from offpolicy.intervals.inference import Interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.plan.record import Step
from offpolicy.plan.sessions import Sessions
from offpolicy.uplift import compare
from offpolicy.weighting.horizons import Horizon, terms

PLAIN = {"one_step": "ips", "per_decision": "pdis", "trajectory": "tis"}
SESSIONS, DECISIONS = "the target in a share of all sessions", "the target in a share of decisions"
NEAR = 1e-3  # to which the furthest share is found


def session_step(units: int, least_ess: float, min_ess: float, uplift: Interval) -> Step | None:
    """Mixture by whole sessions (decisions): weights 1 - l + l w have variance l^2 Var(w), so that
    units / ESS(l) = 1 + l^2 (units / ESS(target) - 1), and l times the target's uplift, known no
    better than that. None where not even the logging policy has the units, or nothing of the
    target is there."""
    if units <= min_ess or least_ess <= 0:
        return None
    spread = units / least_ess - 1
    share = min(float(np.sqrt((units / min_ess - 1) / spread)), 1.0) if spread > 0 else 1.0
    ess = units / (1 + share**2 * spread)
    path = SESSIONS if share < 1 else "the target itself"
    return Step(path, share, ess, scaled(uplift, share))


def decision_step(
    log: LoggedDataset,
    scores: TargetScores,
    s: Sessions,
    *,
    horizon: Horizon,
    min_ess: float,
    level: float,
    gamma: float,
) -> Step | None:
    """Mixture at every decision: weights multiply 1 - l + l w along the session. None where no
    share is judged, or where its weights do not average 1 (heavy ones are missing)."""
    with np.errstate(over="ignore"):
        ratio = scores.propensity / log.propensity
    low, high = 0.0, 1.0
    while high - low > max(NEAR * high, 1e-6):
        middle = (low + high) / 2
        low, high = (middle, high) if _least_ess(s, ratio, middle) >= min_ess else (low, middle)
    if low == 0.0:
        return None
    mixed = TargetScores((1 - low) * log.propensity + low * scores.propensity)
    return _checked(log, mixed, low, DECISIONS, horizon, min_ess, level, gamma)


def path_step(
    log: LoggedDataset,
    path: str,
    shares: Mapping[float, TargetScores],
    *,
    horizon: Horizon,
    min_ess: float,
    level: float = 0.95,
    gamma: float = 1.0,
) -> Step | None:
    """The largest of some shares of a path that the log can judge; what policies at each share say
    of the log is given. None where no share is judged."""
    steps = (
        _checked(log, shares[share], share, path, horizon, min_ess, level, gamma)
        for share in sorted(shares, reverse=True)
    )
    return next((step for step in steps if step is not None), None)


def _checked(
    log: LoggedDataset,
    scores: TargetScores,
    share: float,
    path: str,
    horizon: Horizon,
    min_ess: float,
    level: float,
    gamma: float,
) -> Step | None:
    """The step, unless its effective sample is too small or its mean weight not 1."""
    t = terms(log, scores, horizon=horizon, gamma=gamma)
    d = diagnose(t)
    m = d.mean_weight
    if d.least_ess < (1 - NEAR) * min_ess or m is None or not m.low <= 1 <= m.high:
        return None
    return Step(path, share, d.least_ess, uplift_of(t, level))


def _least_ess(s: Sessions, ratio: F64, share: float) -> float:
    """As `Diagnostics.least_ess`, of weights 1 - l + l w multiplied along the session."""
    step = np.maximum(1 - share + share * ratio, 0.0)
    if s.code is not None:
        with np.errstate(divide="ignore"):
            step = np.exp(s.summed(np.log(step)))
    mass = s.count * step
    ess, rows = effective(s.by_unit(mass)), effective(mass)
    if s.code is None or rows == 0:
        return ess
    return ess * min(of_spread(step[s.count > 0]) / rows, 1.0)


def uplift_of(t: Terms, level: float) -> Interval:
    """Uplift over the logging policy by plain weights and a control variate."""
    if t.weightless:
        return Interval(np.nan, -np.inf, np.inf, np.inf, level, t.layout.units.n)
    name = PLAIN[t.horizon]
    return compare({name: estimate(t, name)}, {name: t}, {}, level, controlled=True)[0].uplift


def scaled(i: Interval, share: float) -> Interval:
    """The interval of so many times its value; of no share of it, whatever it is, 0."""
    if share == 0:
        return replace(i, value=0.0, low=0.0, high=0.0, se=0.0)
    return replace(
        i, value=share * i.value, low=share * i.low, high=share * i.high, se=share * i.se
    )
