"""Coverage of intervals: fresh logs, one truth, a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np

import recsim_env  # noqa: F401  (registers the environments)
from experiments.common.show import Update
from experiments.common.truth import serve
from offpolicy import evaluate
from offpolicy.intervals.binomial import exact_bounds
from offpolicy.tables import markdown
from policies import Policy, build, collect, score_log

WORLD = "recsim_env/Longplay-v0"
TEMPERATURE = 4.0  # of the target, a softmax over mean ratings; the logging policy is uniform
USERS = 1000
KEPT = 0.9  # share of the logs that must have the effective sample: leaving out more selects


@dataclass(frozen=True, slots=True)
class Setting:
    """One estimand and the log that it is estimated from."""

    horizon: Literal["one_step", "per_decision"]
    max_steps: int
    sessions: int
    estimators: tuple[str, ...]


class Row(NamedTuple):
    """Coverage of one estimator."""

    horizon: str
    estimator: str
    sessions: int
    logs: int  # with enough effective sample
    coverage: float
    low: float  # exact binomial bounds of the coverage itself, 95 %
    high: float
    width: float  # mean width of the interval
    bias: float  # mean of estimate minus truth
    truth: float
    ess: float  # mean over logs


def make(num_envs: int, max_steps: int) -> Any:
    """The default world with 20 candidates and slates of 3."""
    return gymnasium.make_vec(
        WORLD,
        num_envs=num_envs,
        slate_size=3,
        n_candidates=20,
        history_length=10,
        max_steps=max_steps,
    )


def coverage(
    case: Setting,
    *,
    replicates: int,
    truth_sessions: int,
    min_ess: float,
    level: float,
    seed: int,
    update: Update,
) -> list[Row]:
    """One row per estimator."""
    env = make(USERS, case.max_steps)
    logging, target = policies(env)
    truth = serve(env, target, n_sessions=truth_sessions, seed=seed + 1).returns
    seen: list[dict[str, tuple[float, float, float]]] = []
    sizes = []
    for replicate in range(replicates):
        log = collect(env, logging, n_sessions=case.sessions, seed=seed + 1000 + replicate)
        scores = score_log(target, log, n_slates=4, seed=replicate)
        report = evaluate(
            log,
            scores,
            horizon=case.horizon,
            estimators=case.estimators,
            level=level,
            check=False,
            plan=False,
            seed=replicate,
        )
        if report.diagnostics.ess >= min_ess:
            sizes.append(report.diagnostics.ess)
            seen.append(
                {x.estimator: (x.value.value, x.value.low, x.value.high) for x in report.lines}
            )
        update((replicate + 1) / replicates)
    if len(seen) < KEPT * replicates:
        raise ValueError(
            f"only {len(seen)} of {replicates} logs reached an effective sample of {min_ess:.0f}: "
            "the coverage of so chosen logs says little; take more sessions a log"
        )
    return [
        row(case, name, seen, float(truth.mean()), float(np.mean(sizes)))
        for name in case.estimators
    ]


def policies(env: Any) -> tuple[Policy, Policy]:
    """Uniform slates, and a softmax over the mean ratings of a log that serves nothing else."""
    uniform = build("uniform", env)
    target = build("top_rated", env, temperature=TEMPERATURE)
    target.update(collect(env, uniform, n_sessions=4000, seed=77))
    return uniform, target


def row(
    case: Setting,
    name: str,
    seen: Sequence[dict[str, tuple[float, float, float]]],
    truth: float,
    ess: float,
) -> Row:
    """Counts of one estimator over the logs."""
    value, low, high = np.array([one[name] for one in seen]).T
    hits = int(((low <= truth) & (truth <= high)).sum())
    return Row(
        case.horizon,
        name,
        case.sessions,
        len(seen),
        hits / len(seen),
        *exact_bounds(hits, len(seen)),
        float((high - low).mean()),
        float(value.mean() - truth),
        truth,
        ess,
    )


def report(rows: Sequence[Row], *, level: float, replicates: int, seed: int) -> str:
    """The table with the command that made it."""
    head = (
        "estimand", "estimator", "sessions", "logs", "coverage", "its 95 % bounds", "mean width",
        "bias", "truth", "ESS",
    )  # fmt: skip
    lines = [
        (
            r.horizon, r.estimator, r.sessions, f"{r.logs} of {replicates}", f"{r.coverage:.3f}",
            f"[{r.low:.3f}, {r.high:.3f}]", f"{r.width:.3f}", f"{r.bias:+.4f}", f"{r.truth:.3f}",
            f"{r.ess:.0f}",
        )
        for r in rows
    ]  # fmt: skip
    title = f"Coverage of {level:.0%} intervals in {WORLD}: uniform log, softmax target."
    command = f"`longplay coverage --replicates {replicates} --seed {seed}`"
    return f"{title}\n\n{markdown(head, lines, left=2)}\n\n{command}\n"
