"""What the offline tools say of a log in which a fault lies: the doctor, evaluation, the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from offpolicy import GateRule, Health, LoggedDataset, TargetScores, check_log, evaluate, interval
from offpolicy.intervals.inference import Interval
from offpolicy.poisoning.bots import bots
from offpolicy.poisoning.heavy_users import heavy_users
from policies import Policy
from policies.scoring import score_log
from serving.joining.join import Joined

Record = dict[str, Any]
COUNTS = (
    "duplicate_decisions",
    "conflicting_decisions",
    "duplicate_outcomes",
    "conflicting_outcomes",
    "late_outcomes",
    "early_outcomes",
    "foreign_outcomes",
    "orphaned_outcomes",
    "further_taken",
    "skewed_histories",
    "incomplete_decisions",
    "fallbacks",
)  # of the join, that tell of trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How logs are judged."""

    min_ess: float = 50.0
    level: float = 0.95
    slates: int = 4  # that the target draws on each row, for the reward model


def judged(joined: Joined, target: Policy, terms: Terms, *, seed: int = 0) -> Record:
    """Of a joined log: its counts, the doctor's verdict and troubles, the target's estimate with
    its interval, and the gate's verdict on the target against what was served. As plain numbers;
    a log that cannot be made or weighed says why in `refused`."""
    counts = {name: joined.counts[name] for name in COUNTS if joined.counts[name]}
    log = joined.log
    if log is None:
        return {"rows": 0, "counts": counts, "refused": "no session is over"}
    try:
        scores = score_log(target, log, n_slates=terms.slates, seed=seed)
        return {"rows": len(log), "sessions": log.n_sessions, "counts": counts} | _of(
            joined, log, scores, terms, seed
        )
    except ValueError as error:  # LogError is one: what users of the tools would read
        return {"rows": len(log), "counts": counts, "refused": str(error)}


def _of(
    joined: Joined, log: LoggedDataset, scores: TargetScores, terms: Terms, seed: int
) -> Record:
    health = check_log(log, scores, time=joined.time, event_id=np.array(joined.decision_ids))
    users = [f for f in (*heavy_users(log), *bots(log).findings) if f.level > 0]
    rule = GateRule(min_ess=terms.min_ess, confidence=terms.level)
    report = evaluate(
        log, scores, horizon="per_decision", level=terms.level, rule=rule, plan=False, seed=seed
    )
    found = report[report.decided_by].value
    return {
        "check": health.verdict.value,
        "troubles": [f.check for f in health.troubles],
        "users": [f.check for f in users],
        "estimator": report.decided_by,
        "estimate": _plain(found),
        "logged": _plain(report.baseline),
        "ess": report.diagnostics.least_ess,
        "gate": report.verdict.outcome.value,
        "step": report.verdict.step,
        "reason": report.verdict.reason,
    }


def _plain(found: Interval) -> list[float]:
    return [float(found.value), float(found.low), float(found.high)]
