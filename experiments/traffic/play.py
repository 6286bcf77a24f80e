"""A plan played against a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.common.seeds import purpose_seed
from experiments.traffic.client import Client
from experiments.traffic.generator import Load, event_loop
from experiments.traffic.messages import Messages
from experiments.traffic.record import Record
from experiments.traffic.schedule import Arrivals, Phase, due_times
from experiments.traffic.served import Served, address, status_of
from experiments.traffic.visits import Behaviour, reactions_to, visits_at
from policies.validation import COUNT

PURPOSES = ("times", "users", "reactions", "messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be sent."""

    phases: Sequence[Phase]
    arrivals: Arrivals = "poisson"
    behaviour: Behaviour = field(default_factory=Behaviour)
    outcomes: bool = True
    names: Sequence[str] = ()
    history: int = 0
    candidates: int = 0
    deadline_ms: float | None = None
    connections: int = 1_000
    drain: float = 5.0  # s to wait for the last answers
    seed: int = 0
    """Of the random numbers."""

    def __post_init__(self) -> None:
        COUNT.check("connections", self.connections)


def messages_of(plan: Plan, served: Served, run: str) -> Messages:
    """All requests of a plan, for what is served; the same for the same seed."""

    def rng(purpose: str) -> np.random.Generator:
        return np.random.default_rng(purpose_seed(plan.seed, PURPOSES, purpose))

    due = due_times(plan.phases, plan.arrivals, rng("times"))
    visits = visits_at(due, plan.behaviour, rng("users"))
    reactions = reactions_to(len(due), served.slate_size, plan.behaviour, rng("reactions"))
    return Messages(
        run, served, visits, reactions, rng("messages"),
        plan.names, plan.history, plan.candidates, plan.deadline_ms,
    )  # fmt: skip


def play(
    url: str,
    plan: Plan,
    *,
    token: str | None = None,
    run: str | None = None,
    stop: threading.Event | None = None,
) -> Record:
    """Send a plan to a server and return what came back, until it is over or `stop` is set. Ids
    begin with `run`, which must be new to the server: the time, by default. Raises OSError where
    the server cannot be reached."""
    name = f"{time.time_ns():x}" if run is None else run
    messages = messages_of(plan, status_of(url, token=token), name)
    loop = event_loop()
    try:
        return loop.run_until_complete(_played(url, plan, messages, token, stop))
    finally:
        loop.close()


async def _played(
    url: str, plan: Plan, messages: Messages, token: str | None, stop: threading.Event | None
) -> Record:
    client = Client(*address(url), token=token, most=plan.connections)
    record = Record(messages.run, sum(phase.seconds for phase in plan.phases))
    return await Load(messages, client, record, plan.outcomes, plan.drain, stop).run()
