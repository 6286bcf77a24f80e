"""The gate: three verdicts and a reason. Whole sessions, overlap, propensities, guardrails, uplift.

Thin overlap comes first because a normal interval on heavy-tailed weights cannot be trusted: it
would blame propensities that are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from offpolicy.diagnostics import JUDGED, Diagnostics
from offpolicy.doctor.log_check import Health, LogCheck
from offpolicy.intervals.inference import Interval
from offpolicy.weighting.censoring import Censoring


class Outcome(StrEnum):
    """The three verdicts of the gate."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """What a candidate must show."""

    min_ess: float = JUDGED  # effective units below which the gate does not judge
    min_uplift: float = 0.0  # superiority; a negative number is a non-inferiority margin
    confidence: float = 0.95  # of a pass, and of a fail: each is a claim about one side
    monitored: bool = False  # judged again as the log grows: bounds hold at all looks together

    def __post_init__(self) -> None:
        if not self.min_ess >= 2:
            raise ValueError(f"min_ess = {self.min_ess}: an interval needs at least 2 units")
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"confidence = {self.confidence} is outside (0.5, 1); 0.95 is usual")
        if not np.isfinite(self.min_uplift):
            raise ValueError(f"min_uplift = {self.min_uplift} is not a number")

    @property
    def level(self) -> float:
        """Of the two-sided interval whose each bound holds with `confidence`."""
        return 2 * self.confidence - 1


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A quantity that must stay inside [at_least, at_most] for sure."""

    name: str
    interval: Interval
    at_least: float = -np.inf
    at_most: float = np.inf


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision, its reason, and the step that decided."""

    outcome: Outcome
    reason: str
    step: str  # sessions | overlap | propensities | guardrails | uplift: where it was decided

    def __str__(self) -> str:
        return f"{self.outcome.value}: {self.reason}"


def decide(
    uplift: Interval,
    diagnostics: Diagnostics,
    rule: GateRule | None = None,
    *,
    guardrails: Sequence[Guardrail] = (),
    log_check: LogCheck | None = None,
    cut: Censoring | None = None,
) -> Verdict:
    """Judge a candidate by the interval of its uplift over the policy that serves now: its bounds
    decide as they are (`uplift_bounds` has those that a rule asks for).

    A `log_check` that failed stops the gate where it looks at propensities, and sessions that the
    log cut (`cut`) stop it where no whole session shows how they go on.
    """
    rule = rule or GateRule()
    return (
        _sessions(cut)
        or _overlap(diagnostics, rule)
        or _propensities(diagnostics, log_check)
        or _guardrails(guardrails)
        or _uplift(uplift, rule)
    )


def _sessions(cut: Censoring | None) -> Verdict | None:
    if cut is None or cut.judgeable:
        return None
    why = (
        f"{cut.cut} of {cut.sessions} sessions were cut (truncated) and none shows how "
        f"{cut.running:.0%} of them go on: log sessions to their end, judge what was seen of them "
        f"by `first_steps(log, {cut.length})`, or say with max_steps where sessions end by design"
    )
    return Verdict(Outcome.UNDECIDED, why, "sessions")


def _overlap(d: Diagnostics, rule: GateRule) -> Verdict | None:
    if d.least_ess >= rule.min_ess:
        return None
    spread = (
        f" (it is {d.ess:.0f} of the weights that were drawn, but they spread so widely that the "
        "heaviest were missed)"
        if d.ess >= rule.min_ess
        else ""
    )
    why = (
        f"effective sample {d.least_ess:.0f} of {d.units} units is below {rule.min_ess:.0f}"
        f"{spread}: log more, or try a closer policy"
    )
    return Verdict(Outcome.UNDECIDED, why, "overlap")


def _propensities(d: Diagnostics, check: LogCheck | None) -> Verdict | None:
    if check is not None and check.verdict is Health.FAIL:
        worst = check.troubles[0]
        why = f"the log is not fit: {worst.check}: {worst.found}. {worst.fix}"
        return Verdict(Outcome.UNDECIDED, why, "propensities")
    m = d.mean_weight
    if m is not None and m.low <= 1 <= m.high:
        return None
    mean = "unknown" if m is None else f"{m.value:.3f}, not 1 ([{m.low:.3f}, {m.high:.3f}])"
    why = f"mean weight is {mean}: check the logged propensities with `longplay check`"
    return Verdict(Outcome.UNDECIDED, why, "propensities")


def _guardrails(guardrails: Sequence[Guardrail]) -> Verdict | None:
    open_: Verdict | None = None
    for g in guardrails:
        i = g.interval
        bounds = f"[{i.low:.4g}, {i.high:.4g}] against [{g.at_least:.4g}, {g.at_most:.4g}]"
        if i.high < g.at_least or i.low > g.at_most:
            return Verdict(Outcome.FAIL, f"guardrail {g.name} is broken: {bounds}", "guardrails")
        if not (i.low >= g.at_least and i.high <= g.at_most) and open_ is None:
            why = f"guardrail {g.name} is not shown to hold: {bounds}; log more"
            open_ = Verdict(Outcome.UNDECIDED, why, "guardrails")
    return open_


def _uplift(uplift: Interval, rule: GateRule) -> Verdict:
    wanted, bounds = rule.min_uplift, f"[{uplift.low:+.4g}, {uplift.high:+.4g}]"
    sure = f"with {(1 + uplift.level) / 2:.4g} confidence"
    if uplift.low > wanted:
        why = f"uplift is above {wanted:+.4g} {sure}: {bounds}"
        return Verdict(Outcome.PASS, why, "uplift")
    if uplift.high < wanted:
        why = f"uplift is below {wanted:+.4g} {sure}: {bounds}"
        return Verdict(Outcome.FAIL, why, "uplift")
    if uplift.value == 0 and uplift.se == 0:
        why = "uplift is 0: the candidate chooses as the logging policy did; try another policy"
        return Verdict(Outcome.UNDECIDED, why, "uplift")
    why = f"uplift {bounds} holds {wanted:+.4g}: log more, or try a policy that differs more"
    return Verdict(Outcome.UNDECIDED, why, "uplift")
