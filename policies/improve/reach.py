"""A step without sessions for a choice: weights say how far, and a few shares are judged together.

Importance weights are known before any reward is read: the largest share of the way whose weights
hold the gate's floors on the judge's sessions is no choice by what came of them. It and a few
smaller shares are then judged with bounds that hold together, and the furthest one that passes is
the step. Where a bound is all that is wanted of one step, `furthest_step` states a higher one; of
a climb of many steps this rule gets further.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from offpolicy.diagnostics import Diagnostics, diagnose
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.gate.verdict import GateRule, Outcome, Verdict
from offpolicy.judging import judge
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.horizons import Horizon, terms
from policies.base import Policy
from policies.improve.path import Kind, between
from policies.improve.step import Step, score_shares

SHARES = tuple(2.0**-k for k in range(10))  # of the way, whose weights are looked at first
BETWEEN = (1.19, 1.41, 1.68)  # times the largest of them that holds the floors: looked at next
TOGETHER = 3  # shares that are judged together


def reached_step(
    judge_log: LoggedDataset,
    now: Policy,
    target: Policy,
    *,
    rule: GateRule | None = None,
    kind: Kind = "geometric",
    horizon: Horizon = "per_decision",
    guardrails: Sequence[GuardrailSpec] = (),
    level: float = 0.95,
) -> Step:
    """The furthest share of the way from `now` to `target` that passes the gate on these sessions,
    of which the target must have learnt none; no step where none passes.

    Judged are the largest share whose weights hold the floors of `rule`, found to a fifth, and two
    smaller ones; their bounds hold together, whichever is taken. No reward model is fitted: the
    uplift is that of a self-normalised estimator.

    Raises ValueError where there is no path between the two policies.
    """
    rule = rule or GateRule()
    scores = score_shares(judge_log, now, target, SHARES, kind)
    weights = {share: _weights(judge_log, scores[share], horizon) for share in SHARES}
    held = [share for share in SHARES if _holds(weights[share], rule)]
    if not held:
        return _no_step(now, weights[SHARES[-1]], rule)
    if held[0] < 1:
        more = [held[0] * factor for factor in BETWEEN]
        scores |= score_shares(judge_log, now, target, more, kind)
        held += [s for s in more if _holds(_weights(judge_log, scores[s], horizon), rule)]
    shares = sorted(held, reverse=True)[:TOGETHER]
    report = judge(
        judge_log,
        {f"{share:.4g} of the way": scores[share] for share in shares},
        horizon=horizon,
        rule=rule,
        guardrails=guardrails,
        level=level,
        model=None,
    )
    passed = [c.verdict.outcome is Outcome.PASS for c in report.candidates]
    nth = passed.index(True) if any(passed) else 0
    share, best = shares[nth] if any(passed) else 0.0, report.candidates[nth]
    return Step(
        share=share,
        policy=copy.deepcopy(target) if share == 1 else between(now, target, share, kind),
        uplift=best.uplift,
        verdict=best.verdict,
        ess=best.report.diagnostics.least_ess,
        tried=(),
        judged=report,
    )


def _weights(log: LoggedDataset, scores: TargetScores, horizon: Horizon) -> Diagnostics:
    return diagnose(terms(log, scores, horizon=horizon))


def _holds(d: Diagnostics, rule: GateRule) -> bool:
    m = d.mean_weight
    return d.least_ess >= rule.min_ess and m is not None and m.low <= 1 <= m.high


def _no_step(now: Policy, d: Diagnostics, rule: GateRule) -> Step:
    why = (
        f"effective sample {d.least_ess:.0f} of {d.units} units at {SHARES[-1]:.2g} of the way, "
        f"the gate's floor is {rule.min_ess:.0f}: log more sessions, or take a target nearer to "
        "what serves"
    )
    return Step(0.0, now, None, Verdict(Outcome.UNDECIDED, why, "overlap"), d.least_ess, (), None)
