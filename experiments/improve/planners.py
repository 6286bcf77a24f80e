"""`longplay benchmark planners`: what is learnt from one log, by planners and by other learners.

Every row learns the same log, in one update; its value is taken on other users, the same for all.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.common.building import build_with, rated
from experiments.common.run_folder import open_run
from experiments.common.seeds import purpose_seed, seeds_of
from experiments.common.tables import markdown_table
from experiments.common.truth import serve
from experiments.common.workers import Parallel, executor_of, results
from experiments.improve.planner_worlds import WORLDS, PlannerWorld
from offpolicy import LoggedDataset
from policies import ENCODERS, POLICIES, Encoder, build, collect, consumed_sequences, serving_of

BEHAVIOUR = "behaviour"
OVER = " + encoder"  # after a policy's name: it stands on the supervised encoder
ROW = re.compile(
    r"(?P<name>\w[\w.]*(?::\w[\w.]*)?)(?P<over> \+ encoder)?(?: @(?P<temperature>\d*\.?\d+))?"
)
EMBEDDED = tuple(name for name, world in WORLDS.items() if not world.real)
ROWS = (
    BEHAVIOUR, "greedy_reward", "linucb", "bc", "reinforce", "cql", "snqn", "one_step", "fitted_q",
    "one_step" + OVER, "fitted_q" + OVER,
)  # fmt: skip
PURPOSES = ("warm", "train", "truth")


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Learn from one log with every learner, in several worlds, over seeds."""

    worlds: tuple[str, ...] = EMBEDDED
    """Of experiments/improve/planner_worlds.py; ml-100k needs the variable LONGPLAY_DATA."""
    rows: tuple[str, ...] = ROWS
    """behaviour, names of policies.POLICIES, and such with " + encoder" behind; with " @0.2" at the
    end, slates are drawn by softmax at that temperature, in units of the scores."""
    seed: int = 0
    """Of the random numbers; the first of several seeds."""
    seeds: int = 5
    """How many seeds, from --seed on; everything random is made anew with each."""
    warm_sessions: int = 4000
    """Sessions of uniform slates, for the ratings that the logging policy shows by, and the
    encoder."""
    sessions: int | None = None
    """Sessions that are learnt from; by default each world's own."""
    truth_sessions: int = 2000
    encoder: str = "gru4rec"
    """Of policies.ENCODERS."""
    users: int = 512
    """Parallel users."""
    level: float = 0.95
    """Of the intervals, over seeds."""
    workers: int = 1
    """Processes of this computer, one thread each; short for --executor processes:N."""

    def __post_init__(self) -> None:
        for kind, names, known in (
            ("world", self.worlds, tuple(WORLDS)),
            ("row", [n for r in self.rows if (n := parse(r).name) not in POLICIES], (BEHAVIOUR,)),
            ("encoder", [self.encoder], tuple(ENCODERS)),
        ):
            if unknown := sorted(set(names) - set(known)):
                there = (*known, *POLICIES) if kind == "row" else known
                raise ValueError(f"no {kind} {', '.join(unknown)}; there are {', '.join(there)}")
        if min(len(self.worlds), len(self.rows), self.seeds, self.workers, self.users) < 1:
            raise ValueError("at least one world, row, seed, worker and user")
        if min(self.warm_sessions, self.truth_sessions, self.sessions or 2) < 2:
            raise ValueError("every number of sessions must be at least 2")


class Row(NamedTuple):
    """What a row's name says."""

    name: str  # of the policy
    over: bool  # the encoder
    temperature: float | None


def parse(row: str) -> Row:
    """Raises ValueError, which says what a row is."""
    found = ROW.fullmatch(row)
    if found is None:
        raise ValueError(f'row {row!r} is not like "one_step", "one_step + encoder @0.2"')
    warm = found["temperature"]
    return Row(found["name"], found["over"] is not None, None if warm is None else float(warm))


def seed_of(seed: int, purpose: str) -> int:
    """The same for every row: common logs, users and random numbers."""
    return purpose_seed(seed, PURPOSES, purpose)


@lru_cache(maxsize=1)
def logs(settings: Settings, world: str, seed: int) -> tuple[Any, LoggedDataset, LoggedDataset]:
    """The logging policy, the log of uniform slates and the log that is learnt from."""
    where = WORLDS[world]
    env = where.make(settings.users)
    uniform = build("uniform", env)
    warm = collect(
        env, uniform, n_sessions=settings.warm_sessions, seed=seed_of(seed, "warm"), logger="warm"
    )
    serving = logging_policy(where, env, warm)
    n = settings.sessions or where.sessions
    return serving, warm, collect(env, serving, n_sessions=n, seed=seed_of(seed, "train"))


def logging_policy(where: PlannerWorld, env: Any, warm: LoggedDataset) -> Any:
    """Softmax over mean ratings, or uniform slates where the world has none."""
    if where.temperature is None:
        return build("uniform", env)
    return rated(env, warm, where.temperature)


@lru_cache(maxsize=1)
def encoder_of(settings: Settings, world: str, seed: int) -> Encoder:
    """Fitted to what users consumed in the log of uniform slates."""
    _, warm, _ = logs(settings, world, seed)
    env = WORLDS[world].make(1)
    sequences = consumed_sequences(warm, item_features=serving_of(env).item_features)
    length = serving_of(env).history_length
    return ENCODERS[settings.encoder].small(length=length, seed=seed).fit(sequences)


def learn(settings: Settings, world: str, seed: int, row: str) -> dict[str, float]:
    """Value of one row, with the CPU-seconds of learning it."""
    torch.set_num_threads(1)
    env = WORLDS[world].make(settings.users)
    policy, _, log = logs(settings, world, seed)
    seconds = 0.0
    if row != BEHAVIOUR:
        asked, offered = parse(row), dict[str, Any](seed=seed)
        if asked.over:
            offered["encoder"] = encoder_of(settings, world, seed)
        wanted = {} if asked.temperature is None else {"temperature": asked.temperature}
        begun = time.process_time()
        policy = build_with(asked.name, env, offered, wanted)
        policy.update(log)
        seconds = time.process_time() - begun
    truth = serve(env, policy, n_sessions=settings.truth_sessions, seed=seed_of(seed, "truth"))
    return {"value": float(truth.returns.mean()), "cpu_seconds": seconds, "decisions": len(log)}


def run(settings: Settings) -> int:
    """A table a world; each row of a seed is a stage that is not computed twice."""
    folder = open_run(settings.out, "planners", settings, settings.resume)
    print(f"run folder: {folder.path}", flush=True)
    todo = [
        (settings, world, seed, row)
        for world in settings.worlds
        for seed in seeds_of(settings)
        for row in settings.rows
        if not folder.has(stage_of(world, seed, row))
    ]
    for (_, world, seed, row), result in results(learn, todo, executor_of(settings), folder):
        folder.write_json(f"stages/{stage_of(world, seed, row)}.json", result)
        print(f"  done: {world}, seed {seed}, {row}: {result['value']:.2f}", flush=True)
    text = ""
    for world in settings.worlds:
        read = [
            [
                folder.read_json(f"stages/{stage_of(world, seed, row)}.json")
                for seed in seeds_of(settings)
            ]
            for row in settings.rows
        ]
        lines = [
            line(row, cells, settings.level) for row, cells in zip(settings.rows, read, strict=True)
        ]
        decisions = int(np.mean([cell["decisions"] for cell in read[0]]))
        about = f"{WORLDS[world].about} {decisions:,} decisions learnt from."
        text += f"\n## {world}\n\n{about}\n\n{markdown_table(lines)}"
    print(text)
    folder.write_text("table.md", text)
    return 0


def stage_of(world: str, seed: int, row: str) -> str:
    """A cell as part of a file name."""
    return f"{world}-{seed}-{row}".replace(",", "").replace(" ", "-").replace("@", "at-")


def line(row: str, cells: list[dict[str, float]], level: float) -> dict[str, str]:
    """Mean over seeds with a normal interval, where there are two or more."""
    values = np.array([cell["value"] for cell in cells])
    wide = ""
    if len(values) > 1:
        z = NormalDist().inv_cdf(0.5 + level / 2)
        wide = f" ± {z * values.std(ddof=1) / len(values) ** 0.5:.2f}"
    seconds = float(np.mean([cell["cpu_seconds"] for cell in cells]))
    return {
        "learner": row,
        "value of a session": f"{values.mean():.2f}{wide}",
        "CPU-seconds to learn": f"{seconds:.1f}" if row != BEHAVIOUR else "",
    }
