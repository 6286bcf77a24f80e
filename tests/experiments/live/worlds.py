"""A small service for simulated users."""

from __future__ import annotations

from typing import Any

from experiments.common.worlds import make_env
from experiments.live.users.crowd import Crowd
from experiments.live.users.doors import EngineDoor, SimulatedClock
from experiments.live.users.players import Players
from policies import Policy, build
from serving import MemoryLog, MemorySessions
from tests.serving.factories import make_engine

SIZES = {"slate_size": 2, "n_candidates": 8, "history_length": 6, "max_steps": 5}


def make(num_envs: int, **more: Any) -> Any:
    return make_env("recsim_env/Longplay-v0", num_envs, n_items=60, **SIZES, **more)


def players(seed: int = 7, **crowd: Any) -> Players:
    return Players(make, Crowd(**({"users": 60, "daily": 0.5} | crowd)), seed=seed)


def door_of(policy: Policy | None = None) -> tuple[EngineDoor, MemoryLog]:
    """A door to an engine of its own, and what it logs."""
    clock, log = SimulatedClock(), MemoryLog()
    served = build("uniform", make(1)) if policy is None else policy
    sessions = MemorySessions(ttl=1e9)
    engine = make_engine(served, log, clock=clock, tables=False, sessions=sessions)
    return EngineDoor(engine, clock), log
