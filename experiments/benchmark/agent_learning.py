"""One agent in one classic world: learn in rounds, keep the best, value it on other users."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.benchmark.agent_targets import Target, make, name_of, stage_of
from experiments.common.building import build_with
from experiments.common.truth import mean, serve
from experiments.train.learning import Environments, Plan, Standing, rounds
from offpolicy import LoggedDataset
from policies import (
    Exploration,
    Observation,
    Policy,
    ScorePolicy,
    Serving,
    build,
    load,
    save,
    serving_of,
)
from policies.score_policy import Scores, pick


class Trial(NamedTuple):
    """How every target is learnt and valued."""

    sessions: int  # held-out, to choose the best round
    test_sessions: int
    level: float
    steps: int | None = None  # of a round; None: the target's own
    rounds: int | None = None
    users: int | None = None


def learn(target: Target, trial: Trial, seed: int, folder: Path) -> dict[str, Any]:
    """Learn in rounds, keep the best, and value it on users that chose nothing."""
    torch.set_num_threads(1)
    saved = folder / stage_of(target, seed)
    plan = Plan(
        rounds=target.rounds if trial.rounds is None else trial.rounds,
        steps=target.steps if trial.steps is None else trial.steps,
        sessions=trial.sessions,
        patience=target.rounds,
        learn_from=target.learn_from,
        level=trial.level,
        seed=seed,
    )
    held_out = make(target, trial.sessions)
    uniform = build("uniform", held_out)
    plain = serve(held_out, uniform, n_sessions=plan.sessions, seed=plan.seed_of("curve"))
    envs = Environments(make(target, trial.users or target.users), held_out, plain.returns)
    chosen = dict(target.settings)
    if target.falling:
        chosen["decay_steps"] = plan.rounds * plan.steps
    standing = Standing(build_with(target.policy, held_out, {"seed": seed}, chosen))
    began = time.process_time()
    seconds = 0.0
    for here in rounds(standing, envs, plan, lambda done: None):
        if standing.best == len(standing.rows) - 1:
            save(standing.policy, saved)
            seconds = time.process_time() - began
        point = f"{here['decisions']:,.0f} decisions {here['value']:.1f}"
        print(f"  {name_of(target)}, seed {seed}: {point}", flush=True)
    test = make(target, trial.test_sessions)
    best = load(saved)
    seed_of, n = plan.seed_of, trial.test_sessions
    reached = serve(test, best, n_sessions=n, seed=seed_of("test"))
    shutil.rmtree(saved)
    returns = reached.returns
    if target.against:
        levels = [nearest(serving_of(held_out), level) for level in target.against]
        known = [
            serve(held_out, rule, n_sessions=plan.sessions, seed=seed_of("curve")).returns.mean()
            for rule in levels
        ]
        rule = [uniform, *levels][int(np.argmax([plain.returns.mean(), *known]))]
        returns = returns - serve(test, rule, n_sessions=n, seed=seed_of("test")).returns
    value = mean(returns, trial.level)
    return {
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "coverage": reached.coverage,
        "cpu_seconds": seconds,
        "cpu_seconds_in_all": time.process_time() - began,
        "decisions": standing.rows[standing.best]["decisions"],
    }


def nearest(serving: Serving, level: float) -> Policy:
    """The candidate whose first feature is nearest to a fixed level, whatever the state."""
    return ScorePolicy(Nearest(serving, level), Exploration())


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Scores by distance to a level of the first item feature."""

    serving: Serving
    level: float

    def scores(self, obs: Observation) -> Scores:
        """(B, C), higher = nearer."""
        distance: Scores = np.abs(pick(self.serving.item_features[:, 0], obs) - self.level)
        return -distance

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Nothing is learnt."""
        return {}
