"""(log, target scores, rule) -> Plan: three ways on from "cannot tell", in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offpolicy.diagnostics import diagnose
from offpolicy.estimators.terms import F64, Terms
from offpolicy.gate.verdict import GateRule, Outcome, Verdict
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.plan.better_log import Aim, better_log, unknown_uplift
from offpolicy.plan.record import THIN, BetterLog, Plan, Step
from offpolicy.plan.sessions import (
    Logger,
    Sessions,
    mixed_sessions,
    own_spread,
    sessions_of,
    variance_of_returns,
    widest_spread,
)
from offpolicy.plan.steps import decision_step, session_step, uplift_of
from offpolicy.plan.trial import plan_trial
from offpolicy.uplift import ALIKE, CARRIED
from offpolicy.weighting.horizons import Horizon, terms
from offpolicy.weighting.overlap import expected_rows

MARGIN = 0.02  # of the present value: the uplift that is planned for where none is named
SAFE = 300.0  # logarithm of products that are far from overflowing float64
POWER, SHARES, TRIAL_SHARE = 0.8, (0.1, 0.25, 0.5), 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """What a plan is made for."""

    margin: float | None = None  # uplift to be seen; 2 % of the present value above the rule's
    power: float = POWER
    level: float = 0.95  # of its intervals
    shares: tuple[float, ...] = SHARES  # of the target in logging policies
    trial_share: float = TRIAL_SHARE  # of the units that a trial serves

    def __post_init__(self) -> None:
        if not 0.5 <= self.power < 1:
            raise ValueError(f"power = {self.power} is outside [0.5, 1); 0.8 is usual")
        for name, values in (("shares", self.shares), ("trial_share", (self.trial_share,))):
            if not all(0 < x < 1 for x in values):
                raise ValueError(f"{name} = {values}: a share lies between 0 and 1, both excluded")


def make_plan(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    horizon: Horizon,
    rule: GateRule | None = None,
    settings: PlanSettings | None = None,
    loggers: Mapping[str, F64] | None = None,
    steps: Sequence[Step] = (),
    gamma: float = 1.0,
) -> Plan:
    """What a candidate needs after "cannot tell": the furthest step, a better log, a trial.

    `loggers` are further logging policies to think about: probabilities (N,) of the logged slates.
    `steps` are further steps (of other paths) to show. Of horizon "marginal" the plan weighs whole
    sessions.

    Raises:
        LogError: the scores do not fit the log.
        ValueError: returns do not vary, or a margin that does not exceed what the rule wants.
    """
    t = _terms(log, scores, horizon, gamma)
    s, rule, asked = sessions_of(t), rule or GateRule(), settings or PlanSettings()
    if not variance_of_returns(s) > 0:
        raise ValueError("every session was paid the same: no log of this kind shows an uplift")
    return _full_plan(log, scores, t, s, horizon, rule, asked, loggers or {}, steps, gamma)


def _terms(log: LoggedDataset, scores: TargetScores, horizon: Horizon, gamma: float) -> Terms:
    return terms(log, scores, horizon=weighed(horizon), gamma=gamma)


def weighed(horizon: Horizon) -> Horizon:
    """The horizon whose weights a plan takes: whole sessions' for "marginal"."""
    return "per_decision" if horizon == "marginal" else horizon


def _full_plan(
    log: LoggedDataset,
    scores: TargetScores,
    t: Terms,
    s: Sessions,
    horizon: Horizon,
    rule: GateRule,
    asked: PlanSettings,
    loggers: Mapping[str, F64],
    steps: Sequence[Step],
    gamma: float,
) -> Plan:
    by = weighed(horizon)
    once = by == "one_step" and log.row_weight is None
    d = diagnose(t, expected_rows=expected_rows(log, scores) if once else None)
    margin = _margin(s, rule, asked.margin)
    own = not t.weightless and d.least_ess >= CARRIED
    uplift = uplift_of(t, asked.level) if own else unknown_uplift(s, asked.level)
    paths = [session_step(d.units, d.least_ess, rule.min_ess, uplift)]
    if by != "one_step" and d.least_ess < rule.min_ess:
        paths.append(
            decision_step(
                log, scores, s, horizon=by, min_ess=rule.min_ess, level=asked.level,
                gamma=gamma,
            )
        )  # fmt: skip
    aim = Aim(margin, asked.power, rule, uplift, d.least_ess / d.units, own)
    now = Logger("the present policy", np.ones(len(t)), np.ones(len(t)), share=0.0)
    mixtures = [now, *(mixed_sessions(t, share) for share in asked.shares)]
    rows = [better_log(s, x, aim) for x in mixtures]
    given = dict(loggers)
    if by != "one_step":
        for share in asked.shares:
            mixed = (1 - share) * log.propensity + share * scores.propensity
            given[f"the target at {share:.0%} of decisions"] = mixed
    for name, p in given.items():
        x = terms(log, TargetScores(p), horizon=by, gamma=gamma)
        rows.append(better_log(s, Logger(name, x.weight, x.weight_before), aim))
    every = [*steps, *(p for p in paths if p)]
    return _plan(horizon, log, s, rule, asked, margin, own, every, rows)


def plan_after(
    verdict: Verdict,
    log: LoggedDataset,
    scores: TargetScores,
    *,
    horizon: Horizon,
    rule: GateRule,
    gamma: float = 1.0,
) -> Plan | None:
    """The plan of an undecided verdict; None of another, and where none can be made: sessions that
    the log cut, returns that do not vary or are 0 on average, a target that is the logging policy.
    Where propensities are not right, or weights overflow, it holds a trial alone, which needs none.
    """
    if verdict.outcome is not Outcome.UNDECIDED or verdict.step == "sessions":
        return None
    with np.errstate(over="ignore", divide="ignore"):
        ratio = scores.propensity / log.propensity
        grown = np.bincount(log.sessions, np.maximum(np.log(ratio), 0.0)).max()
    if float(np.abs(ratio - 1).max()) <= ALIKE:
        return None
    known = verdict.step != "propensities" and (horizon != "marginal" or grown < SAFE)
    t = _terms(log, scores if known else TargetScores(log.propensity), horizon, gamma)
    s = sessions_of(t)
    if s.mean == 0 or not variance_of_returns(s) > 0:
        return None
    if known:
        return _full_plan(log, scores, t, s, horizon, rule, PlanSettings(), {}, (), gamma)
    margin = _margin(s, rule, None)
    return _plan(horizon, log, s, rule, PlanSettings(), margin, own=False, steps=(), loggers=())


def _plan(
    horizon: str,
    log: LoggedDataset,
    s: Sessions,
    rule: GateRule,
    asked: PlanSettings,
    margin: float,
    own: bool,
    steps: Sequence[Step],
    loggers: Sequence[BetterLog],
) -> Plan:
    spread = own_spread(s) if own else 1.0
    trial = plan_trial(
        s,
        margin=margin,
        power=asked.power,
        rule=rule,
        share=asked.trial_share,
        spread=spread,
        widest=max(spread, widest_spread(s, s.mean + margin)),
        source="estimated" if own else "as logged",
    )
    return Plan(
        horizon=horizon,
        session="decision" if s.code is None else "session",
        unit="session" if log.user is None else "user",
        margin=margin,
        wanted=rule.min_uplift,
        power=asked.power,
        confidence=rule.confidence,
        min_ess=rule.min_ess,
        steps=tuple(steps),
        loggers=tuple(loggers),
        trial=trial,
        notes=(THIN,) if loggers and not own else (),
    )


def _margin(s: Sessions, rule: GateRule, margin: float | None) -> float:
    if margin is None:
        margin = max(rule.min_uplift, 0.0) + MARGIN * abs(s.mean)
    if not margin > max(rule.min_uplift, 0.0):
        raise ValueError(
            f"margin = {margin:.4g} must be above 0 and above the uplift that the rule wants "
            f"({rule.min_uplift:.4g}); it is the uplift that is to be seen, per session"
        )
    return float(margin)
