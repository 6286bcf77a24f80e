"""`longplay benchmark agents`: what agents reach in the classic worlds, beside what is known there.

Every agent sees only what the observation gives. It learns in rounds, the policy of the best round
by one set of held-out users is kept, and its value is taken on yet other users.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from offpolicy import LoggedDataset
from policies import Observation, Policy, Serving
from policies.score_policy import Scores, pick


class World(NamedTuple):
    """A world and what is known of it."""

    name: str
    env: str
    known: str
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One agent in one world, and the mean return of a session that it is asked for."""

    world: World
    agent: str
    policy: str  # key of policies.POLICIES
    settings: dict[str, Any]
    steps: int  # decisions of a round
    rounds: int
    users: int
    falling: bool = False  # the step size, over all rounds
    asked: float  # of the mean over seeds
    each: float  # of every seed
    against: tuple[float, ...] = ()  # value = gain over the best of these levels and uniform slates


IE = World(
    "InterestEvolution, 3 of 10",
    "recsim_env/InterestEvolution-v0",
    "random 160.6, myopic 167.4, literature 175, topic-quality oracle 265.4",
)
KNOWN_BOREDOM = "random 8.6, greedy oracle 50.8, limit 100"
BOREDOM = World("Boredom", "recsim_env/Boredom-v0", KNOWN_BOREDOM)
LATENT = World("Boredom, interests shown", BOREDOM.env, KNOWN_BOREDOM, {"observe": "latent"})
SATISFACTION = World(
    "LongTermSatisfaction",
    "recsim_env/LongTermSatisfaction-v0",
    "gain of a session over the better of uniform slates and the best fixed clickbait level",
)
ALTERNATE = {"gamma": 0.9, "windows": (1, 3, 5, 10), "entropy": 0.001, "batch_size": 512}

TARGETS = (
    Target(
        world=IE,
        agent="SlateQ",
        policy="slateq",
        settings={"gamma": 0.998},
        falling=True,
        steps=400_000,
        rounds=20,
        users=512,
        asked=275.0,
        each=265.0,
    ),
    Target(
        world=IE,
        agent="PPO",
        policy="ppo",
        settings={"gamma": 0.995, "entropy": 0.0},
        steps=400_000,
        rounds=15,
        users=512,
        asked=250.0,
        each=240.0,
    ),
    Target(
        world=LATENT,
        agent="PPO",
        policy="ppo",
        settings=ALTERNATE,
        steps=200_000,
        rounds=10,
        users=128,
        asked=90.0,
        each=85.0,
    ),
    Target(
        world=SATISFACTION,
        agent="PPO",
        policy="ppo",
        settings={
            "gamma": 0.9,  # exposure is forgotten by .7 a step: what lies further on is noise
            "gae_lambda": 0.8,
            "windows": (1, 2, 3, 5),
            "entropy": 0.0,
            "batch_size": 16_384,  # minutes are log-normal: a small batch teaches its own noise
            "learning_rate": 3e-3,
        },
        falling=True,
        steps=1_200_000,
        rounds=4,
        users=1024,
        asked=0.0,
        each=0.0,
        against=(0.3, 0.35, 0.39, 0.45, 0.5, 0.55, 0.6),
    ),
    Target(
        world=BOREDOM,
        agent="PPO",
        policy="ppo",
        settings=ALTERNATE,
        falling=True,
        steps=200_000,
        rounds=10,
        users=128,
        asked=60.0,
        each=55.0,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Train agents in the classic worlds and print what they reach."""

    only: tuple[str, ...] = ()
    """Rows to compute, as WORLD/AGENT; all by default."""
    seeds: tuple[int, ...] = (0, 1, 2)
    sessions: int = 500
    """Held-out sessions that choose the best round."""
    test_sessions: int = 1000
    """Sessions of other users behind every value."""
    level: float = 0.95
    workers: int = 2
    """Processes, one thread each."""
    out: Path = Path("results")
    """Where run folders are made."""
    resume: Path | None = None
    """A run folder to go on with, under the same settings."""

    def __post_init__(self) -> None:
        known = [name_of(t) for t in TARGETS]
        if unknown := sorted(set(self.only) - set(known)):
            raise ValueError(f"no row {', '.join(unknown)}; there are {'; '.join(known)}")
        if not self.seeds or min(self.sessions, self.test_sessions) < 2:
            raise ValueError("at least one seed, and at least 2 sessions")


def run(settings: Settings) -> int:
    """All rows; each seed of a row is a stage that is not computed twice."""
    from experiments.common.run_folder import open_run

    folder = open_run(settings.out, "agents", settings, settings.resume)
    print(f"run folder: {folder.path}", flush=True)
    rows = [t for t in TARGETS if not settings.only or name_of(t) in settings.only]
    todo = [(t, s) for s in settings.seeds for t in rows if not folder.has(stage_of(t, s))]
    for target, seed, result in learnt(settings, todo, folder.path):
        folder.write_json(f"stages/{stage_of(target, seed)}.json", result)
        print(f"  done: {name_of(target)}, seed {seed}", flush=True)
    table = "\n".join(
        line(t, [folder.read_json(f"stages/{stage_of(t, s)}.json") for s in settings.seeds])
        for t in rows
    )
    print(table)
    folder.write_text("table.txt", table + "\n")
    return 0


def learnt(
    settings: Settings, todo: list[tuple[Target, int]], folder: Path
) -> Iterator[tuple[Target, int, dict[str, Any]]]:
    """Results as they come, in this process or in several."""
    from concurrent.futures import as_completed

    from experiments.common.workers import pool

    if settings.workers == 1:
        for target, seed in todo:
            yield target, seed, learn(target, settings, seed, folder)
        return
    with pool(settings.workers) as processes:
        jobs = {processes.submit(learn, t, settings, s, folder): (t, s) for t, s in todo}
        for job in as_completed(jobs):
            yield *jobs[job], job.result()


def stage_of(target: Target, seed: int) -> str:
    """The file name of a target's seed."""
    return f"{name_of(target)} {seed}".replace(" ", "-").replace(",", "").replace("/", "-")


def name_of(target: Target) -> str:
    """How a row is called."""
    return f"{target.world.name}/{target.agent}"


def make(target: Target, users: int) -> Any:
    """The target's world."""
    import gymnasium

    import recsim_env  # noqa: F401  (registers the environments)

    return gymnasium.make_vec(target.world.env, num_envs=users, **(target.world.settings or {}))


def learn(target: Target, settings: Settings, seed: int, folder: Path) -> dict[str, Any]:
    """Learn in rounds, keep the best, and value it on users that chose nothing."""
    import torch

    from experiments.common.truth import mean, serve
    from experiments.train.learning import Plan, Standing, Worlds, rounds
    from policies import build, load, save, serving_of

    torch.set_num_threads(1)
    kept = folder / stage_of(target, seed)
    plan = Plan(
        rounds=target.rounds,
        steps=target.steps,
        sessions=settings.sessions,
        patience=target.rounds,
        learn_from="own",
        level=settings.level,
        seed=seed,
    )
    held_out = make(target, settings.sessions)
    uniform = build("uniform", held_out)
    plain = serve(held_out, uniform, n_sessions=plan.sessions, seed=plan.seed_of("curve"))
    worlds = Worlds(make(target, target.users), held_out, plain.returns)
    told = target.settings | {"seed": seed}
    if target.falling:
        told["decay_steps"] = target.rounds * target.steps
    standing = Standing(build(target.policy, held_out, **told))
    began = time.process_time()
    seconds = 0.0
    for here in rounds(standing, worlds, plan, lambda done: None):
        if standing.best == len(standing.rows) - 1:
            save(standing.policy, kept)
            seconds = time.process_time() - began
        point = f"{here['decisions']:,.0f} decisions {here['value']:.1f}"
        print(f"  {name_of(target)}, seed {seed}: {point}", flush=True)
    test = make(target, settings.test_sessions)
    best = load(kept)
    seed_of, n = plan.seed_of, settings.test_sessions
    reached = serve(test, best, n_sessions=n, seed=seed_of("test"))
    shutil.rmtree(kept)
    returns = reached.returns
    if target.against:
        levels = [nearest(serving_of(held_out), level) for level in target.against]
        known = [
            serve(held_out, rule, n_sessions=plan.sessions, seed=seed_of("curve")).returns.mean()
            for rule in levels
        ]
        rule = [uniform, *levels][int(np.argmax([plain.returns.mean(), *known]))]
        returns = returns - serve(test, rule, n_sessions=n, seed=seed_of("test")).returns
    value = mean(returns, settings.level)
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
    from policies import Exploration, ScorePolicy

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


def line(target: Target, seeds: list[dict[str, Any]]) -> str:
    """One line: world, agent, value of every seed with its interval, and whether it is enough."""
    values = [s["value"] for s in seeds]
    average = sum(values) / len(values)
    each = "; ".join(f"{s['value']:.1f} [{s['low']:.1f}, {s['high']:.1f}]" for s in seeds)
    enough = average >= target.asked and min(values) >= target.each
    seconds = sum(s["cpu_seconds"] for s in seeds) / len(seeds)
    return (
        f"{target.world.name} ({target.world.known}). "
        f"{target.agent}: {average:.1f}; by seed {each}. "
        f"Asked {target.asked:g}, every seed {target.each:g}: {'reached' if enough else 'missed'}. "
        f"Best policy after {seconds:.0f} CPU-seconds of learning and choosing"
    )
