"""What the offline tools say of a log in which a fault lies: the doctor, evaluation, the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from experiments.common.truth import mean
from experiments.faults.day import PAST, past
from experiments.faults.releases import CROWD_OF_RELEASES, made
from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import joined
from experiments.live.users.crowd import DAY
from offpolicy import GateRule, LoggedDataset, TargetScores, check_log, evaluate
from offpolicy.intervals.inference import Interval
from offpolicy.poisoning.checking import check_users
from policies import Policy
from policies.scoring import score_log
from serving.joining.join import Joined

TEMPERATURE = 2.0  # of the target: better than what serves, and near enough to be judged
RANDOM = 0.25  # share of slates at random of the target of releases; so, too
MIN_ESS, LEVEL = 30.0, 0.95
SLATES = 4  # that the target draws on each row, for the reward model
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

Record = dict[str, Any]


@cache
def target() -> Policy:
    """What is evaluated and gated on every log."""
    return made(TEMPERATURE).learnt


@cache
def target_of_releases() -> Policy:
    """The same on logs of releases, of which another policy serves most."""
    return made().mixed(RANDOM)


def judge(parts: Parts, reference: LoggedDataset | None) -> Record:
    """Of the log that a service has written (all its sessions over)."""
    return judged(joined(parts)[0], target(), parts.players.longest, seed=parts.seed)


def judge_release(parts: Parts, reference: LoggedDataset | None) -> Record:
    """The same of the log of a release."""
    both = joined(parts)[0]
    return judged(both, target_of_releases(), parts.players.longest, seed=parts.seed)


def judged(both: Joined, policy: Policy, max_steps: int, *, seed: int = 0) -> Record:
    """Of a joined log whose sessions end after `max_steps` by design: its counts, the doctor's
    verdict and troubles, the policy's estimate with its interval, and the gate's verdict on it
    against what was served. As plain numbers; a log that cannot be made or weighed says why in
    `refused`."""
    counts = {name: both.counts[name] for name in COUNTS if both.counts[name]}
    if both.log is None:
        return {"rows": 0, "counts": counts, "refused": "no session is over"}
    sizes = {"rows": len(both.log), "sessions": both.log.n_sessions, "counts": counts}
    try:
        log = replace(both.log, max_steps=max_steps)
        scores = score_log(policy, log, n_slates=SLATES, seed=seed)
        return sizes | _of(both, log, scores, seed)
    except ValueError as error:  # what users of the tools would read; LogError is one
        return sizes | {"refused": str(error)}


def truth(seeds: Sequence[int]) -> Record:
    """What the target is worth a session to the users of the days that are played, when it serves
    them all: its mean over seeds, with its interval."""
    values = []
    for seed in seeds:
        known = past(seed)
        with closing(Parts(seed, now=PAST * DAY, users=known.users)) as parts:
            parts.players.restore(known.players)
            values.append(_served(parts, target(), PAST))
    return _mean(values)


def truth_of_releases(seeds: Sequence[int]) -> Record:
    """The same of the target and the users of releases."""
    values = []
    for seed in seeds:
        with closing(Parts(seed, now=0.0, crowd=CROWD_OF_RELEASES)) as parts:
            values.append(_served(parts, target_of_releases(), 0))
    return _mean(values)


def told(played: Sequence[Mapping[str, Any]], true: float) -> str:
    """What was said of the logs of all runs, for people: the doctor's verdicts with what they most
    often rest on, how far the estimate is from what the target is worth and how often its interval
    holds that, and the gate's verdicts."""
    found = [one["judged"] for one in played if one["judged"]]
    weighed = [one for one in found if "check" in one]
    refused = len(found) - len(weighed)
    said = [f"refused {refused} of {len(found)}"] if refused else []
    if weighed:
        off = np.array([one["estimate"][0] / true - 1 for one in weighed])
        holds = sum(one["estimate"][1] <= true <= one["estimate"][2] for one in weighed)
        said += [
            f"check: {_counted(one['check'] for one in weighed)}{_most(weighed)}",
            f"evaluate: {np.median(off):+.0%}, holds the truth {holds} of {len(weighed)}",
            f"gate: {_counted(one['gate'] for one in weighed)}",
        ]
    return "; ".join(said) or "-"


def _served(parts: Parts, policy: Policy, day: int) -> float:
    parts.engine.swap(policy, version="target")
    return float(parts.players.day(day, parts).of("value").mean())


def _mean(values: Sequence[float]) -> Record:
    found = mean(np.array(values), LEVEL)
    return {"value": found.value, "low": found.low, "high": found.high}


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{word} {n}" for word, n in Counter(words).most_common())


def _most(weighed: Sequence[Record]) -> str:
    """The troubles of half of the logs, in words."""
    n = Counter(name for one in weighed for name in {*one["troubles"], *one["users"]})
    names = [name for name, k in n.most_common() if 2 * k >= len(weighed)]
    return f" ({', '.join(names)})" if names else ""


def _of(both: Joined, log: LoggedDataset, scores: TargetScores, seed: int) -> Record:
    health = check_log(log, scores, time=both.time, event_id=np.array(both.decision_ids))
    users = check_users(log, time=both.time)
    report = evaluate(
        log,
        scores,
        horizon="per_decision",
        level=LEVEL,
        rule=GateRule(min_ess=MIN_ESS, confidence=LEVEL),
        plan=False,
        seed=seed,
    )
    return {
        "check": health.verdict.value,
        "troubles": [f.check for f in health.troubles],
        "users": [f.check for f in users.troubles],
        "estimator": report.decided_by,
        "estimate": _plain(report[report.decided_by].value),
        "logged": _plain(report.baseline),
        "ess": report.diagnostics.least_ess,
        "gate": report.verdict.outcome.value,
        "step": report.verdict.step,
        "reason": report.verdict.reason,
    }


def _plain(found: Interval) -> list[float]:
    return [float(found.value), float(found.low), float(found.high)]
