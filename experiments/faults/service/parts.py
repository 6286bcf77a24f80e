"""All parts of a running service, which a fault may replace."""

from __future__ import annotations

import copy
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.faults.service.log import FaultyLog
from experiments.faults.service.world import CROWD, MAKE, PACE, rollout_rule, versions
from experiments.live.service import JOIN
from experiments.live.users.crowd import Crowd
from experiments.live.users.doors import SimulatedClock
from experiments.live.users.players import Players
from serving import (
    Decision,
    Engine,
    MemorySessions,
    Outcome,
    Registry,
    Request,
    Watcher,
    replay,
)
from serving.http.limits import Limits
from serving.metrics.metrics import Metrics
from serving.metrics.state import State
from serving.metrics.window import Window
from serving.rollout.controller import Controller, start
from serving.sessions.memory import User

NEVER = 1e9  # s
WORK_MS, WORK_SPREAD = 4.0, 0.3  # of a batch: the median, and the spread of its logarithm
MEMORY = 3e8  # bytes
MOST_UNSENT = 400  # outcomes that callers keep
DEADLINE_MS = Limits().deadline_ms


class Work:
    """The timer of an engine whose batches take as long as they are told to."""

    def __init__(self) -> None:
        self.now, self.ms, self._began = 0.0, 0.0, True

    def begin(self, ms: float) -> None:
        """The next batch takes so long."""
        self.now, self.ms, self._began = self.now + self.ms / 1e3, ms, False

    def __call__(self) -> float:
        began, self._began = self._began, True
        return self.now + self.ms / 1e3 if began else self.now


class Parts:
    """A service of the simulated users, on a simulated clock: registry, engine, event log, watcher,
    controller, metrics, users. A fault replaces attributes; whoever uses them reads them each time.

    work: ms that the next batch takes, of so many requests.
    waits: ms that each of so many requests waited for it.
    shift: s that the service's clock is off.
    memory: bytes that the process holds. starts: when a process began.
    """

    def __init__(
        self,
        seed: int,
        *,
        now: float,
        users: dict[str, User] | None = None,
        crowd: Crowd = CROWD,
    ) -> None:
        self.seed, self.rng = seed, np.random.default_rng([seed, 7])
        self.noise = np.random.default_rng([seed, 8])  # of what is not the fault's
        self.clock, self.timer, self.real, self.shift = SimulatedClock(now), Work(), now, 0.0
        self.log: Any = FaultyLog()
        self._users = users or {}
        self.folder = Path(tempfile.mkdtemp(prefix="longplay-day-"))
        shutil.copytree(versions().folder, self.folder / "registry")
        self.registry = Registry(self.folder / "registry", clock=self.clock)
        self.players = Players(MAKE, crowd, seed=seed)
        self.work: Callable[[int], float] = lambda n: self.usual_work()
        self.waits: Callable[[int], Sequence[float]] = lambda n: [0.0] * n
        self.memory, self.cpu = MEMORY, 0.0
        self.decisions = 0  # answered
        self.unsent: list[Outcome] = []
        self.starts: list[float] = []
        self.begin()
        self.watch()
        self.names: Sequence[str] = self.engine.catalogue.names
        self.response_names: Sequence[str] = self.engine.serving.response_names

    def begin(self) -> None:
        """A server process begins: histories are those of a snapshot and of the log since."""
        self.sessions: Any = MemorySessions(ttl=NEVER)
        self.sessions.put(copy.deepcopy(self._users))
        release = self.registry.load("live", warmed=False)
        self.engine = Engine(
            release.policy,
            release.catalogue,
            version=release.version,
            sha256=release.sha256,
            secret=hashlib.sha256(f"faults {self.seed}".encode()).digest(),
            events=self.log,
            sessions=self.sessions,
            clock=self.clock,
            timer=self.timer,
        )
        responses = len(self.engine.serving.response_names)
        replay(self.log, self.sessions, responses=responses, recall=self.engine.recall)
        self.watcher = Watcher(self.registry, self.engine, poll=NEVER)
        self.watcher.check()
        self.metrics = Metrics(
            window=Window(width=10 * PACE), within=JOIN.longest, clock=self.clock,
            cpu=lambda: self.cpu,
        )  # fmt: skip
        self.metrics.state = self.state
        self.metrics.under(versions().rules)
        self.starts.append(self.real)

    def watch(self) -> None:
        """The process that watches the log begins."""
        rules = [versions().rules]
        self.controller = Controller(
            self.registry, self.log, rules=rules, clock=self.clock, minutes=round(10 * PACE)
        )

    def empty_log(self) -> None:
        """Go on with a log in which nothing stands yet."""
        self.log, store = FaultyLog(), self.sessions
        self._users = store.read(store.names(), copy.deepcopy)
        self.begin()

    def roll_out(self, version: str) -> None:
        """Begin the rollout of a version."""
        said = hashlib.sha256(f"{self.seed} {version}".encode()).hexdigest()
        start(
            self.registry, self.log, version, rollout_rule(), JOIN, by="somebody", why="a canary",
            clock=self.clock, drawn=(said[:6], said[6:22]),
        )  # fmt: skip
        self.watcher.check()

    def usual_work(self) -> float:
        """ms of a batch."""
        return WORK_MS * float(np.exp(WORK_SPREAD * self.noise.standard_normal()))

    def state(self) -> State:
        """What the server is at the moment."""
        status, engine = self.watcher.status(), self.engine
        return State(
            policy=engine.version,
            sha256=engine.sha256,
            rules=engine.served.live.rules,
            number=engine.last_number,
            swaps=status.swaps,
            load_failures=status.failures,
            unfollowed=status.wanted is not None and status.wanted != engine.version,
            memory=self.memory,
        )

    def at(self, now: float) -> None:
        """The clock stands there, as far as it is right."""
        self.real = now
        self.clock.now = now + self.shift

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """As a worker does: those that waited for longer than a deadline get the fallback."""
        ms, waits = self.work(len(requests)), self.waits(len(requests))
        self.timer.begin(ms)
        self.cpu += ms / 1e3
        late = [wait > DEADLINE_MS for wait in waits]
        made = self.engine.decide_many(requests, waited_ms=waits, late=late)
        self.metrics.decided(made)
        self.decisions += len(made)
        return made

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """What callers tell; what could not be kept they send again with what comes next."""
        together = [*self.unsent, *outcomes]
        try:
            events = self.engine.outcomes(together)
        except Exception:  # noqa: BLE001  (a server answers 503, whatever failed)
            self.unsent = together[-MOST_UNSENT:]
            return
        self.unsent = []
        self.metrics.outcomes(events)

    def close(self) -> None:
        """Nothing is left of it."""
        self.controller.close()
        shutil.rmtree(self.folder, ignore_errors=True)
