"""A step without sessions for a choice: weights say how far, and a few shares are judged together.

Importance weights are known before any reward is read: the largest share of the way whose weights
hold the gate's floors on the judge's sessions is no choice by what came of them. It and a few
smaller shares are then judged with bounds that hold together, and the furthest one that passes is
the step. Where a bound is all that is wanted of one step, `furthest_step` states a higher one; of
a climb of many steps this rule gets further.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from offpolicy.diagnostics import Diagnostics, diagnose
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.gate.verdict import GateRule, Outcome, Verdict
from offpolicy.judging import judge
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.horizons import Horizon, terms
from policies.base import Policy, conditional
from policies.improve.choice import floor_missed
from policies.improve.path import Kind, between, log_first_place, shared_rules
from policies.improve.step import Step, check_apart, score_shares
from policies.observation import Observation, columns_of, observation_of_log
from policies.scoring import check_slate_size
from policies.slates.distributions import PlackettLuce, sum_weighted

SHARES = tuple(2.0**-k for k in range(10))  # of the way, whose weights are looked at in turn
BETWEEN = (1.68, 1.41, 1.19)  # times the largest of them that holds the floors: looked at next
CHUNK = 8192  # rows at a time
CHECKED = 256  # rows by which the log's probabilities are held against the policy's


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
    learn_log: LoggedDataset | None = None,
) -> Step:
    """The furthest share of the way from `now` to `target` that passes the gate on these sessions,
    of which the target must have learnt none; no step where none passes. They are checked against
    `learn_log`, where it is given.

    Judged are the largest share whose weights hold the floors of `rule`, found to a fifth, and one
    of about 2/3 of it; their bounds hold together, whichever is taken. No reward model is fitted:
    the uplift is that of a self-normalised estimator, over the policy that served the log, by its
    LOGGED propensities, whatever `now` is. Memory beside the log: 2 N C numbers.

    Raises ValueError where there is no path between the two policies, and LogError where sessions
    are among those of `learn_log`.
    """
    rule = rule or GateRule()
    if learn_log is not None:
        check_apart(learn_log, judge_log, "learner")
    score = scorer(judge_log, now, target, kind)

    def first_held(shares: Iterable[float]) -> tuple[float, TargetScores] | Diagnostics:
        """The first of these shares whose weights hold the floors, or the weights of the last."""
        for share in shares:
            scores = score(share)
            weights = diagnose(terms(judge_log, scores, horizon=horizon))
            if not floor_missed(weights, rule.min_ess):
                return share, scores
        return weights

    coarse = first_held(SHARES)
    if isinstance(coarse, Diagnostics):
        return _no_step(now, coarse, rule)
    fine = first_held(coarse[0] * x for x in BETWEEN) if coarse[0] < 1 else coarse
    furthest = coarse if isinstance(fine, Diagnostics) else fine
    least = 0.7 * furthest[0]
    second = coarse if coarse[0] <= least else (least, score(least))
    found = [furthest, second]
    shares = [share for share, _ in found]
    report = judge(
        judge_log,
        {f"{share:.4g} of the way": scores for share, scores in found},
        horizon=horizon,
        rule=rule,
        guardrails=guardrails,
        level=level,
        model=None,
    )
    passed = [c.verdict.outcome is Outcome.PASS for c in report.candidates]
    nth = passed.index(True) if any(passed) else 0
    share, best = shares[nth] if any(passed) else 0.0, report.candidates[nth]
    at = shares[nth]
    judged = copy.deepcopy(target) if at == 1 else between(now, target, at, kind)
    return Step(
        share=share,
        policy=judged if share else now,
        uplift=best.uplift,
        verdict=best.verdict,
        ess=best.report.diagnostics.least_ess,
        tried=(),
        judged=report,
        candidate=judged,
        judged_share=at,
    )


def scorer(
    log: LoggedDataset, now: Policy, target: Policy, kind: Kind = "geometric"
) -> Callable[[float], TargetScores]:
    """What `between(now, target, share, kind)` says of the logged slates, for any share.

    On a geometric path without rules both policies are asked once, whatever the number of shares;
    `now` not even that where the log holds its first-place probabilities.

    Raises ValueError where there is no path between the two policies.
    """
    rules = shared_rules(now, target, kind)
    if kind != "geometric" or rules:
        return lambda share: score_shares(log, now, target, (share,), kind)[share]
    check_slate_size(log, now.serving)
    seen = observation_of_log(log, now.serving)
    columns = columns_of(seen, log.slate)
    ends = [np.empty((len(log), now.serving.columns)) for _ in range(2)]
    whole = True  # whether the target itself is the last policy of the path
    logged = log.candidate_propensity if _served(log, now, seen) else None
    for start in range(0, len(log), CHUNK):
        rows = slice(start, min(start + CHUNK, len(log)))
        part = seen.rows(rows)
        for end, logits, first in zip((now, target), ends, (logged, None), strict=True):
            if first is not None:
                with np.errstate(divide="ignore"):
                    logits[rows] = np.log(first[rows])
                continue
            d = end.distribution(part)
            logits[rows] = log_first_place(d, part)
            whole = whole and isinstance(d, PlackettLuce)

    def scores(share: float) -> TargetScores:
        if share == 1 and not whole:
            return score_shares(log, now, target, (1.0,), kind)[1.0]
        prefix = np.empty(log.slate.shape)
        for start in range(0, len(log), CHUNK):
            rows = slice(start, start + CHUNK)
            if share == 1:
                logits = ends[1][rows]
            else:
                logits = sum_weighted([end[rows] for end in ends], (1 - share, share))
            prefix[rows] = PlackettLuce(logits, log.slate_size).prefix(columns[rows])
        return TargetScores(prefix[:, -1], conditional(prefix))

    return scores


def _served(log: LoggedDataset, now: Policy, seen: Observation) -> bool:
    """Whether the log's first-place probabilities are those of `now`: it names no two loggers, and
    rows from its beginning to its end tell."""
    several = log.logger is not None and len(np.unique(log.logger)) > 1
    if log.candidate_propensity is None or several:
        return False
    some = np.unique(np.linspace(0, len(log) - 1, CHECKED).astype(np.int64))
    mine = now.distribution(seen.rows(some)).first_place()
    return bool(np.allclose(log.candidate_propensity[some], mine, rtol=1e-6, atol=0))


def _no_step(now: Policy, d: Diagnostics, rule: GateRule) -> Step:
    why = (
        f"no share of the way holds the floors: at the smallest, {SHARES[-1]:.2g}, "
        f"{floor_missed(d, rule.min_ess)}: log more sessions, or take a target nearer to what "
        "serves"
    )
    return Step(0.0, now, None, Verdict(Outcome.UNDECIDED, why, "overlap"), d.least_ess, (), None)
