"""The canary's value from the control's log beside its own mean: a disagreement is a fault."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offpolicy.diagnostics import JUDGED, diagnose
from offpolicy.doctor.findings import Level
from offpolicy.doctor.log_check import check_log
from offpolicy.estimators import estimate_all
from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.gamma import gamma_interval, seen
from offpolicy.intervals.inference import Interval
from offpolicy.intervals.unseen import pairs, unseen
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.horizons import ESTIMAND, Horizon, on_policy, terms

ESTIMATOR = {"one_step": "ips", "per_decision": "pdis"}  # unbiased where the log is right
NEAR = 1e-6  # relative difference of propensities that rounding may leave


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two answers to one question: what the canary is worth."""

    estimand: str
    estimated: Interval  # from the control's log, by weights
    own: Interval  # mean of what the canary served itself
    difference: Interval  # own minus estimated; the arms' users are independent
    ess: float  # effective units behind the estimate
    verdict: str  # "agree", "disagree", "cannot tell"
    look_at: tuple[str, ...]  # where a fault may lie, most likely first; empty where they agree


def agreement(
    control: LoggedDataset,
    scores: TargetScores,
    canary: LoggedDataset,
    own_scores: TargetScores | None = None,
    *,
    horizon: Horizon = "per_decision",
    level: float = 0.95,
    min_ess: float = JUDGED,
) -> Agreement:
    """The value of the canary by per-decision weights from the rows of the `control` arm, whose
    `scores` are the canary's probabilities of their slates, and the mean return of the sessions
    that the `canary` served. Both are unbiased where propensities and exposure are right, so the
    interval of the difference misses 0 with 1 - level: valid at one look. `own_scores` are the
    canary's probabilities of its OWN slates, which its log should hold as propensities.

    Raises:
        ValueError: another horizon than one_step and per_decision.
        LogError: scores that do not fit their log, sessions with holes.
    """
    if horizon not in ESTIMATOR:
        raise ValueError(f"horizon = {horizon!r}; there are {', '.join(ESTIMATOR)}")
    name = ESTIMATOR[horizon]
    t = terms(control, scores, horizon=horizon)
    served = TargetScores(canary.propensity, canary.position_propensity)
    mine = on_policy(terms(canary, served, horizon=horizon))
    weighed, paid = estimate_all(t, [name])[name], estimate_all(mine, [name])[name]
    rare, own_rare = unseen(weighed, pairs(t), against=0.0), seen(paid.psi)
    estimated = gamma_interval(weighed, level, unseen=rare)
    own = gamma_interval(paid, level, unseen=own_rare)
    units = len(paid.psi) + len(weighed.psi)
    scale = units / len(paid.psi), units / len(weighed.psi)
    between = Estimate(
        paid.value - weighed.value,
        np.concatenate([paid.psi * scale[0], -weighed.psi * scale[1]]),
        np.arange(units),
    )
    below, above = (
        max(own_rare[k] * scale[0], rare[1 - k] * scale[1]) for k in (0, 1)
    )  # what the estimate has missed above moves the difference down
    apart = gamma_interval(between, level, unseen=(below, above))
    ess = diagnose(t).least_ess
    verdict = "agree" if apart.low <= 0 <= apart.high else "disagree"
    if verdict == "agree" and not ess >= min_ess:
        verdict = "cannot tell"
    look_at = _look_at(control, scores, canary, own_scores) if verdict == "disagree" else ()
    return Agreement(ESTIMAND[horizon], estimated, own, apart, ess, verdict, look_at)


def _look_at(
    control: LoggedDataset,
    scores: TargetScores,
    canary: LoggedDataset,
    own_scores: TargetScores | None,
) -> tuple[str, ...]:
    """What the two logs say against themselves, then what they cannot show."""
    said = []
    if own_scores is not None:
        off = np.abs(own_scores.propensity / canary.propensity - 1) > NEAR
        if off.any():
            said.append(
                f"the canary's logged propensities: {off.mean():.1%} of its rows hold another one "
                f"than the saved policy gives (first row {int(off.argmax())}); another version "
                "served, or it saw other histories or candidates"
            )
    for log, given, whose in ((control, scores, "control"), (canary, own_scores, "canary")):
        said += [
            f"the {whose}'s log, {f.check}: {f.found}"
            for f in check_log(log, given).findings
            if f.level > Level.PASS
        ]
    return (
        *said,
        "exposure: sample ratio and users seen in both arms (`longplay trial read`)",
        "outcomes: whether both arms report them with the same delay and the same kinds",
        "time: whether both logs cover the same days",
    )
