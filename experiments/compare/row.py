"""One candidate's row: what the log says, what the world says, was the verdict right."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from experiments.common.truth import Mean, Truth, mean
from experiments.page.along import plan_of, reach
from offpolicy import GateRule, Outcome, Report, evaluate
from offpolicy.models.reward_model import RewardData
from policies import Policy, score_log


def judge(
    name: str,
    policy: Policy,
    data: RewardData,
    truth: Truth,
    base: NDArray[np.float64],
    *,
    rule: GateRule,
    level: float,
    seed: int,
) -> dict[str, Any]:
    """Evaluate a policy from the log and hold the estimate against the truth.

    data: the logging policy's log with what its reward models share.
    base: (S,) returns of the logging policy on the users of `truth`.

    Two estimands are reported: the return of a session that the policy serves from its start, on
    which the verdict rests and which the truth answers, and the reward of one decision in states
    the logging policy reached.
    """
    scores = score_log(policy, data.log, n_slates=4, seed=seed)

    def by(horizon: Literal["one_step", "per_decision"]) -> Report:
        return evaluate(
            data.log,
            scores,
            horizon=horizon,
            model=data.predict(scores, horizon=horizon),
            rule=rule,
            level=level,
            check=horizon == "per_decision",
            plan=horizon == "per_decision",
        )

    session, decision = by("per_decision"), by("one_step")
    line = session[session.decided_by]
    value, uplift = mean(truth.returns, level), mean(truth.returns - base, level)
    return {
        "policy": name,
        "truth": asdict(value),
        "true_uplift": asdict(uplift),
        "estimator": session.decided_by,
        "estimate": {"value": line.value.value, "low": line.value.low, "high": line.value.high},
        "uplift": {"value": line.uplift.value, "low": line.uplift.low, "high": line.uplift.high},
        "holds_truth": holds(line.value.low, line.value.high, value),
        "ess": session.diagnostics.ess,
        "sessions": session.diagnostics.units,
        "verdict": str(session.verdict.outcome.value),
        "reason": session.verdict.reason,
        "right": right(session.verdict.outcome, uplift, rule.min_uplift),
        "coverage": truth.coverage,
        "notes": list(session.notes),
        "plan": plan_of(session.plan),
        "reach": reach(data.log, scores, level=level),
        "estimates": session.records() + decision.records(),
    }


def holds(low: float, high: float, truth: Mean) -> bool:
    """Whether an interval holds the world's mean, itself a mean of sessions with an error."""
    return low <= truth.value <= high


def right(outcome: Outcome, true_uplift: Mean, wanted: float) -> str:
    """'right', 'WRONG', 'open' (the world itself has not shown it) or 'no verdict'."""
    if outcome is Outcome.UNDECIDED:
        return "no verdict"
    if true_uplift.low > wanted:
        return "right" if outcome is Outcome.PASS else "WRONG"
    if true_uplift.high < wanted:
        return "right" if outcome is Outcome.FAIL else "WRONG"
    return "open"
