"""How any policy learns, a round at a time, from a world; and where a run of rounds stands.

A round is a function of what the policy was and of the round's number alone, so that a run that was
killed and resumed equals one that was not.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from experiments.common.run_folder import RunFolder
from experiments.common.seeds import purpose_seed
from experiments.common.truth import mean, serve
from policies import Learner, Policy, build, collect, load, save

Env = VectorEnv[Any, Any, Any]
LearnFrom = Literal["own", "uniform"]
Row = dict[str, float]
STATE, CURVE, BEST = "progress.json", "curve.csv", "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes and the seed of a run of rounds."""

    rounds: int
    steps: int  # decisions of a round, over all users
    sessions: int  # held-out sessions behind each point of the curve
    patience: int  # rounds without a better point before stopping
    learn_from: LearnFrom  # whose decisions a policy that learns from logs learns from
    level: float
    seed: int

    def seed_of(self, purpose: str, nth: int = 0) -> int:
        """Independent seeds: users learnt from are not those that are held out."""
        purposes = ("learn", "curve", "test", "warm")
        return purpose_seed(self.seed, purposes, purpose, nth)


@dataclass(frozen=True, slots=True)
class Environments:
    """The same world for learning and for held-out users, and what uniform slates earn there."""

    learn: Env
    held_out: Env
    baseline: NDArray[np.float64]  # (S,) returns of the curve's sessions under uniform slates


@dataclass(slots=True)
class Standing:
    """Where a run stands: the rows of its curve, and the policy after the last of them."""

    policy: Policy
    rows: list[Row] = field(default_factory=list)
    best: int = 0  # the row whose policy is saved as the best

    def finished(self, plan: Plan) -> bool:
        """All rounds are done, or `patience` of them brought nothing better."""
        done = len(self.rows) - 1
        return done >= plan.rounds or done - self.best >= plan.patience


def rounds(
    standing: Standing, envs: Environments, plan: Plan, on_steps: Callable[[int], None]
) -> Iterator[Row]:
    """Learn until finished; yields the curve's row of every round as it is done."""
    if not standing.rows:
        yield _point(standing, envs, plan, 0, {})
    while not standing.finished(plan):
        nth = len(standing.rows)
        learnt = learn_round(standing.policy, envs.learn, plan, nth, on_steps)
        yield _point(standing, envs, plan, nth, learnt)


def learn_round(
    policy: Policy, env: Env, plan: Plan, nth: int, on_steps: Callable[[int], None]
) -> dict[str, float]:
    """One round: acting in the world, or from a log of its own decisions or of uniform ones."""
    seed = plan.seed_of("learn", nth)
    if isinstance(policy, Learner):
        policy.learn(env, total_steps=plan.steps, seed=seed, on_steps=on_steps)
        return {}
    log = collect(
        env,
        policy if plan.learn_from == "own" else build("uniform", env),
        n_steps=max(plan.steps // env.num_envs, 1),
        seed=seed,
        progress=lambda done, _: on_steps(((nth - 1) * plan.steps) + done * env.num_envs),
    )
    return policy.update(log)


def decisions(policy: Policy, env: Env, plan: Plan, nth: int) -> int:
    """Decisions learnt from after so many rounds: a round is made of whole steps of all users, and
    a learner counts its own."""
    if isinstance(policy, Learner):
        return policy.steps
    return nth * (plan.steps // env.num_envs) * env.num_envs


def _point(
    standing: Standing, envs: Environments, plan: Plan, nth: int, learnt: dict[str, float]
) -> Row:
    """Serve the held-out users: all rounds, and uniform slates, meet the same ones."""
    served = serve(
        envs.held_out, standing.policy, n_sessions=plan.sessions, seed=plan.seed_of("curve")
    )
    value = mean(served.returns, plan.level)
    gain = mean(served.returns - envs.baseline, plan.level)
    row = {
        "round": nth,
        "decisions": decisions(standing.policy, envs.learn, plan, nth),
        **asdict(value),
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "coverage": served.coverage,
        **learnt,
    }
    standing.rows.append(row)
    if row["value"] > standing.rows[standing.best]["value"]:
        standing.best = nth
    return row


def save_progress(run: RunFolder, standing: Standing) -> None:
    """Write down where the run stands; from the moment progress.json is there, it counts."""
    nth = len(standing.rows) - 1
    checkpoint = f"checkpoint-{nth:04d}"
    save(standing.policy, run.path / checkpoint)
    if standing.best == nth:
        save(standing.policy, run.path / BEST)
    run.write_text(CURVE, as_csv(standing.rows))
    run.write_json(STATE, {"checkpoint": checkpoint, "best": standing.best, "rows": standing.rows})
    for old in run.path.glob("checkpoint-*"):
        if old.name != checkpoint:
            shutil.rmtree(old)


def load_progress(run: RunFolder, fresh: Callable[[], Policy]) -> Standing:
    """Where the run stopped, or its beginning with a `fresh` policy."""
    if not (run.path / STATE).exists():
        return Standing(fresh())
    state = run.read_json(STATE)
    return Standing(load(run.path / state["checkpoint"]), state["rows"], state["best"])


def as_csv(rows: list[Row]) -> str:
    """A table of all columns that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
