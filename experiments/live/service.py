"""The service that is played: registry, engine, event log, watcher and controller, on one clock."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

from experiments.common.building import build_with
from experiments.common.worlds import EnvFactory, named_world
from experiments.live.settings import Settings
from experiments.live.users.crowd import DAY
from experiments.live.users.doors import EngineDoor, SimulatedClock, over_http
from experiments.live.users.messages import REWARD
from offpolicy import LoggedDataset
from policies import Policy, build, collect, save
from policies.observation import Serving
from serving import (
    Catalogue,
    Engine,
    JoinRule,
    MemoryLog,
    MemorySessions,
    Registry,
    Shape,
    Watcher,
    join,
    replay,
)
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import OutcomeEvent
from serving.rollout.actions import Step
from serving.rollout.controller import Controller, order, start
from serving.rollout.rule import RolloutRule

JOIN = JoinRule(reward=REWARD)
Goal = Literal["non_inferior", "superior"]
NEVER = 1e9  # s: no user is forgotten in the days that are played
STATES = ("*.json", "*.jsonl")  # files of a registry that change


class Service:
    """Serves the live version of the registry in `folder`; an event log in memory, which a day's
    end writes down. The same settings give the same service."""

    def __init__(self, settings: Settings, folder: Path, *, now: float = 0.0) -> None:
        self.settings, self.clock, self.events = settings, SimulatedClock(now), MemoryLog()
        self.registry = Registry(folder, clock=self.clock)
        release = self.registry.load("live")
        self.engine = Engine(
            release.policy,
            release.catalogue,
            version=release.version,
            sha256=release.sha256,
            secret=hashlib.sha256(f"live {settings.seed}".encode()).digest(),
            events=self.events,
            sessions=MemorySessions(ttl=NEVER),
            retrieval=release.retrieval,
            fallback=release.fallback,
            tables=True,  # by which the controller sees that propensities are right
            clock=self.clock,
        )
        self.watcher = Watcher(self.registry, self.engine)
        self.controller = Controller(self.registry, self.events, clock=self.clock)
        self._open = ExitStack()
        self.door = EngineDoor(self.engine, self.clock)
        if settings.http:
            http = over_http(self.engine, self.clock, settings.max_steps)
            self.door = self._open.enter_context(http)

    @property
    def live(self) -> str:
        """The version that control gets."""
        return self.engine.version

    @property
    def rolling(self) -> bool:
        """Whether a rollout goes on."""
        record = self.controller.hands.journal.load()
        return record is not None and record.ended is None

    def look(self) -> Step | None:
        """The controller looks, and the engine follows the registry. A rollout that waits for a
        person is stopped: what did not show what it should in the time it had is given up."""
        step = self.controller.look()
        if step is not None and step.state.phase == "held":
            self.stop_rollout("it did not show what it should in the planned time")
        self.watcher.check()
        return step

    def roll_back(self, why: str) -> None:
        """Serve the version before the live one again."""
        self.registry.rollback(by="the loop", why=why)
        self.watcher.check()

    def shadow(self) -> None:
        """Work off what waits for a shadow."""
        while self.engine.run_shadow():
            pass

    def stop_rollout(self, why: str) -> None:
        """End the rollout that goes on, if one does."""
        if self.rolling:
            order(self.registry, "stop", by="the loop", why=why, clock=self.clock)
            self.watcher.check()

    def roll_out(self, version: str, why: str, goal: Goal) -> Step:
        """Begin the rollout of a version."""
        nth = len({made.rollout for made in self.controller.hands.journal.made()})
        said = hashlib.sha256(f"{self.settings.seed} {nth} {version}".encode()).hexdigest()
        step = start(
            self.registry,
            self.events,
            version,
            rollout_rule(self.settings, goal),
            JOIN,
            by="the loop",
            why=why,
            clock=self.clock,
            drawn=(said[:6], said[6:22]),
        )
        self.watcher.check()
        return step

    def joined(self, since: int, until: int | None = None) -> LoggedDataset:
        """The decision log of the events by their numbers; all their sessions must be over."""
        events, engine = self.events.events[since:until], self.engine
        return joined(self.settings, events, engine.serving, engine.catalogue)

    def restore(self, events: list[bytes]) -> None:
        """Go on after these events, with the registry as it is."""
        for event in events:
            self.events.append(event)
        replay(self.events, self.engine.sessions, responses=len(self.engine.serving.response_names))
        self.watcher.check()

    def close(self) -> None:
        """Let another controller begin, and end the server."""
        self._open.close()
        self.controller.close()


def joined(
    settings: Settings, events: Sequence[bytes], serving: Serving, catalogue: Catalogue
) -> LoggedDataset:
    """The decision log of events; all their sessions must be over. Raises ValueError for none."""
    found = [read_event(event) for event in events]
    shape = replace(Shape.of(serving, catalogue), max_steps=settings.max_steps)
    made = [event for event in found if isinstance(event, Decision)]
    log = join(made, [e for e in found if isinstance(e, OutcomeEvent)], JOIN, shape).log
    if log is None:
        raise ValueError("nobody came on this day: give more --users or a larger --daily")
    return log


def rollout_rule(settings: Settings, goal: Goal) -> RolloutRule:
    """How a version is rolled out. What is served at a simulated moment is one large batch: how
    long it takes is no user's latency, and stops nothing here."""
    hours = 3600.0
    return RolloutRule(
        stages=settings.stages,
        margin=settings.margin,
        goal=goal,
        per="user",
        tuned_at=settings.daily * settings.users,
        least_users=10,
        least_seconds=settings.stage_days * DAY,
        last_seconds=settings.last_stage_days * DAY,
        recent_seconds=0.25 * DAY,
        most_seconds=3 * DAY,
        shadow_decisions=settings.shadow_decisions,
        p99_ms=60_000.0,
        silent_seconds=9 * hours,  # nights are quiet, and so is an arm of few users
        lost_seconds=36 * hours,
    )


def world_of(settings: Settings) -> EnvFactory:
    """The world that the settings name."""
    return named_world(settings)


def first_policy(settings: Settings, world: EnvFactory) -> Policy:
    """What serves first, taught by sessions of uniform slates."""
    env = world.make(64)
    offered = {"seed": settings.seed, "temperature": settings.first_temperature}
    policy = build_with(settings.first, env, offered, {})
    warm = collect(
        env, build("uniform", env), n_sessions=settings.warm_sessions, seed=settings.seed + 1
    )
    policy.update(warm)
    return policy


def add_policy(registry: Registry, policy: Policy, note: str, gate: Path | None = None) -> str:
    """Add a policy that is in memory; its version."""
    with tempfile.TemporaryDirectory() as folder:
        save(policy, Path(folder) / "policy")
        return registry.add(
            Path(folder) / "policy", retrieval="none", note=note, by="the loop", gate=gate
        )
