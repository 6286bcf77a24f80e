"""The rounds of one seed: learn, step, serve, log, repeat; each is a stage of the run folder."""

from __future__ import annotations

import copy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.climb.job import Job
from experiments.climb.settings import Settings
from experiments.common.run_folder import RunFolder
from experiments.common.truth import mean
from offpolicy import GateRule, LoggedDataset
from policies import POLICIES, Policy
from policies.improve.path import between
from policies.improve.reach import reached_step

F64 = NDArray[np.float64]
Record = dict[str, Any]


def behaviour_stage(seed: int) -> str:
    """Its name in the run folder."""
    return f"seed-{seed}-behaviour"


def round_stage(seed: int, nth: int) -> str:
    """Its name in the run folder."""
    return f"seed-{seed}-round-{nth:03d}"


def left_to_do(settings: Settings, run: RunFolder, seed: int) -> list[str]:
    """Stages of a seed that the run folder lacks, in order."""
    rounds = [round_stage(seed, nth) for nth in range(settings.rounds)]
    return [stage for stage in [behaviour_stage(seed), *rounds] if not run.has(stage)]


def climb(settings: Settings, folder: Path, seed: int) -> int:
    """All rounds of a seed that are left to do; how many stages they were.

    What serves and what the learner knows follow from the settings and the steps that were taken:
    a run that goes on serves the sessions of its earlier rounds again, the same ones, and judges
    none of them twice.
    """
    job, run = Job(settings, seed), RunFolder(folder)
    left = left_to_do(settings, run, seed)
    if not left:
        return 0
    now, target = job.behaviour(), job.untaught("target")
    learns = settings.target in POLICIES
    first = run.stage(behaviour_stage(seed), partial(behaviour_record, job, now))
    before = first
    for nth in range(settings.rounds):
        learner, judge = job.parted(job.log(now, nth), nth)
        if learns:
            target.update(learner)
        aim = copy.deepcopy(target)  # what serves must not move where the target learns on
        served = Round(nth, now, aim, learner, judge, before, first)
        before = run.stage(round_stage(seed, nth), partial(one_round, job, served))
        now = between(now, aim, before["share"], settings.kind)
        if learns and nth + 1 < settings.rounds:
            target.update(judge)
    return len(left)


class Round(NamedTuple):
    """A round when its sessions have been served and the target has learnt of the learner's."""

    nth: int
    now: Policy  # what served
    target: Policy
    learner: LoggedDataset
    judge: LoggedDataset
    before: Record  # of the round that ended with what serves this one
    behaviour: Record


def behaviour_record(job: Job, behaviour: Policy) -> Record:
    """The behaviour in truth."""
    return in_truth(job, job.truth(behaviour).returns)


def one_round(job: Job, served: Round) -> Record:
    """The furthest step that the judge's sessions vouch for, and what it is worth in truth."""
    s, was = job.settings, np.array(served.before["returns"])
    rule = GateRule(min_ess=s.min_ess, confidence=s.confidence)
    step = reached_step(
        served.judge, served.now, served.target, rule=rule, kind=s.kind, learn_log=served.learner
    )
    returns = job.truth(step.policy).returns if step.share else was
    gains = {"realised": was, "over_behaviour": np.array(served.behaviour["returns"])}
    return {
        "seed": job.seed,
        "round": served.nth,
        "sessions": s.sessions,
        "decisions": len(served.learner) + len(served.judge),
        "learner_sessions": served.learner.n_sessions,
        "judge_sessions": served.judge.n_sessions,
        "served": served.before["value"],
        "share": step.share,
        "ess": step.ess,
        "verdict": str(step.verdict.outcome.value),
        "reason": step.verdict.reason,
        "estimate": None if step.uplift is None else step.uplift.value,
        "bound": None if step.uplift is None else step.uplift.low,
        **{name: asdict(mean(returns - other, s.level)) for name, other in gains.items()},
        **in_truth(job, returns),
    }


def in_truth(job: Job, returns: F64) -> Record:
    """What a policy is worth, with the returns of the sessions that every policy serves."""
    return {**asdict(mean(returns, job.settings.level)), "returns": returns.tolist()}
