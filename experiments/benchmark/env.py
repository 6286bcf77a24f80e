"""`longplay benchmark env`: user-steps per CPU-second, and what a step costs as worlds grow.

Observations hold ids of candidates, whose features the rows named so hold, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

import recsim_env


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long to measure, and with how many users."""

    users: int = 4096
    seconds: float = 2.0
    """CPU time per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One world to step."""

    label: str
    world: str
    users: int
    parameters: dict[str, Any]


def cases(users: int) -> list[Case]:
    """The acceptance worlds, then one size at a time."""
    whole = {"n_candidates": None, "slate_size": 5}
    lean = {"candidate_features": False}
    rows = [
        Case(label="3 of 10", world="InterestEvolution", users=users, parameters=lean),
        Case(
            label="5 of 10,000 items",
            world="Longplay",
            users=users,
            parameters=whole | {"n_items": 10_000},
        ),
        Case(label="3 of 20", world="Longplay", users=users, parameters=lean),
        Case(
            label="5 of 20 of 10,000",
            world="Longplay",
            users=users,
            parameters=lean | {"slate_size": 5, "n_items": 10_000},
        ),
        Case(label="3 of 10, features", world="InterestEvolution", users=users, parameters={}),
        Case(label="3 of 20, features", world="Longplay", users=users, parameters={}),
    ]
    rows += [
        Case(label=f"{n:,} users", world="Longplay", users=n, parameters=whole)
        for n in (256, 1024, 16_384)
    ]
    rows += [
        Case(
            label=f"{a:,} items",
            world="Longplay",
            users=users,
            parameters=whole | {"n_items": a},
        )
        for a in (1000, 100_000)
    ]
    rows += [
        Case(
            label=f"slate of {k}",
            world="Longplay",
            users=users,
            parameters=whole | {"slate_size": k},
        )
        for k in (2, 10)
    ]
    return rows


def rate(step: Callable[[], object], users: int, seconds: float) -> float:
    """User-steps per CPU-second of this process; the first call is not counted."""
    step()
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        step()
        steps += 1
    return steps * users / (time.process_time() - start)


def vector_rate(case: Case, seconds: float) -> tuple[float, float]:
    """User-steps per CPU-second, observations included, and bytes of live state per user."""
    env = gymnasium.make_vec(f"recsim_env/{case.world}-v0", num_envs=case.users, **case.parameters)
    env.reset(seed=0)
    action = env.action_space.sample()
    core = env.unwrapped
    assert isinstance(core, recsim_env.RecVectorEnv)
    size = sum(array.nbytes for array in core.live) / case.users
    return rate(lambda: env.step(action), case.users, seconds), size


def single_rate(seconds: float) -> float:
    """Steps per CPU-second of one user behind gymnasium.make."""
    env = gymnasium.make("recsim_env/InterestEvolution-v0")
    env.reset(seed=0)
    action = np.array([0, 1, 2])

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()

    return rate(step, 1, seconds)


def two_threads(users: int, seconds: float) -> float:
    """Rate of one environment with two threads over that of the same with one, both by the CPU time
    of the thread that steps: the helper's runs beside it, so that this is the ratio on a machine
    with nothing else to do."""

    def timed(threads: int) -> float:
        env = gymnasium.make_vec(
            "recsim_env/Longplay-v0", num_envs=users, n_candidates=None, threads=threads
        )
        action = env.action_space.sample()
        env.reset(seed=0)
        env.step(action)
        start, rounds = time.thread_time(), 0
        while time.thread_time() - start < seconds:
            env.step(action)
            rounds += 1
        return rounds * users / (time.thread_time() - start)

    return timed(2) / timed(1)


def run(settings: Settings) -> int:
    """Print the table."""
    table = Table(title="User-steps per CPU-second, one thread, observations included")
    for column in ("world", "case", "users", "million a second", "ns a step", "bytes a user"):
        table.add_column(column, justify="left" if column in ("world", "case") else "right")
    for case in cases(settings.users):
        speed, size = vector_rate(case, settings.seconds)
        table.add_row(
            case.world,
            case.label,
            f"{case.users:,}",
            f"{speed / 1e6:.2f}",
            f"{1e9 / speed:.0f}",
            f"{size:.0f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"gymnasium.make: {single_rate(settings.seconds) / 1e3:.1f} thousand steps a second"
    )
    console.print(
        f"two threads: {two_threads(settings.users, settings.seconds):.2f} times one "
        "(CPU time of the stepping thread)"
    )
    return 0
