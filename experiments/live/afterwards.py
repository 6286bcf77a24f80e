"""After a drift: is the loop's version worth what a policy is worth that was taught afterwards?"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.run_folder import RunFolder
from experiments.common.truth import ratio
from experiments.live.learning import recipe_of
from experiments.live.lines import crowd_of, records
from experiments.live.service import JOIN, world_of
from experiments.live.settings import Settings
from experiments.live.users.crowd import DAY
from experiments.live.users.doors import EngineDoor, SimulatedClock
from experiments.live.users.players import Players
from experiments.live.watching import bounds
from offpolicy import LoggedDataset
from policies import Policy
from serving import Catalogue, Engine, MemoryLog, MemorySessions, Registry, Shape, join
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import OutcomeEvent
from serving.relearning.recipe import learnt

F64 = NDArray[np.float64]
Record = dict[str, Any]
TRUTH_DAYS = 2
LEARN, TRUTH = 101, 202  # added to the seed: other users than the loop's, and yet others


def find(settings: Settings, run: RunFolder) -> Record:
    """When the alarm came, what it taught, and when that served all; None where it did not."""
    every = records(settings, run, "loop")
    later = every[settings.event :]
    alarm = next((r for r in later if r["alarm"]), None)
    taught = next((r for r in later if r["learnt"] and r["learnt"]["trigger"] == "drift"), None)
    version = None if taught is None else taught["learnt"]["version"]
    steps = [step for r in later for step in r["steps"] if step["version"] == version]
    done = next((step["time"] for step in steps if "promote" in step["actions"]), None)
    start = settings.event * DAY
    return {
        "champion": every[settings.event - 1]["live"] if settings.event else every[0]["live"],
        "alarm_days": None if alarm is None else alarm["day"] + 1 - settings.event,
        "taught_days": None if taught is None else taught["day"] + 1 - settings.event,
        "promoted_days": None if done is None else (done - start) / DAY,
        "sessions": None if taught is None else taught["learnt"]["sessions"],
        "version": version,
        "final": every[-1]["live"],
        "cpu": sum(r["cpu"] for r in later if done is None or r["day"] * DAY < done),
    }


def compare(settings: Settings, run: RunFolder) -> Record:
    """The old champion, the loop's last version and a policy that learnt from as many sessions
    after the drift, all on the same users, whom none of them met, after the drift."""
    began, found = time.process_time(), find(settings, run)
    registry = Registry(run.path / "lines" / "loop" / "registry")
    champion, final = (
        registry.load(found[name], warmed=False).policy for name in ("champion", "final")
    )
    sessions = found["sessions"] or settings.after_drift
    log = _served(settings, champion, sessions)
    comparator = learnt(recipe_of(settings), champion.serving, log, settings.seed + LEARN)
    of = {
        name: _truth(settings, policy)
        for name, policy in (("before", champion), ("loop", final), ("comparator", comparator))
    }
    level = settings.level
    return found | {
        "learnt_from": log.n_sessions,
        "values": {name: bounds(np.concatenate(v), level) for name, (v, _) in of.items()},
        "loop_of_comparator": asdict(ratio(of["loop"][1], of["comparator"][1], level)),
        "before_of_comparator": asdict(ratio(of["before"][1], of["comparator"][1], level)),
        "compare_cpu": time.process_time() - began,
    }


def _served(settings: Settings, policy: Policy, sessions: int) -> LoggedDataset:
    """At least so many sessions that a policy serves to other users after the drift."""
    players, door, events = _after(settings, policy, LEARN)
    day = n = 0
    while n < sessions:
        n += len(players.day(day, door).value)
        day += 1
    found = [read_event(event) for event in events.events]
    shape = Shape.of(door.engine.serving, door.engine.catalogue)
    made = [event for event in found if isinstance(event, Decision)]
    log = join(made, [e for e in found if isinstance(e, OutcomeEvent)], JOIN, shape).log
    assert log is not None
    return log.take(log.sessions < sessions)


def _truth(settings: Settings, policy: Policy) -> tuple[list[F64], F64]:
    """Values of sessions, by day, and totals of users (U,)."""
    players, door, _ = _after(settings, policy, TRUTH)
    values, total = [], np.zeros(settings.users)
    for day in range(TRUTH_DAYS):
        played = players.day(day, door)
        values.append(played.of("value"))
        np.add.at(total, played.of("user"), played.of("value"))
    return values, total


def _after(settings: Settings, policy: Policy, nth: int) -> tuple[Players, EngineDoor, MemoryLog]:
    """Users of another seed after the drift, served by one policy."""
    clock, events, seed = SimulatedClock(), MemoryLog(), settings.seed + nth
    players = Players(world_of(settings).make, crowd_of(settings), seed=seed)
    players.turn()
    names = [str(i) for i in range(policy.serving.n_items)]
    engine = Engine(
        policy,
        Catalogue(names),
        version="served",
        secret=hashlib.sha256(f"afterwards {seed}".encode()).digest(),
        events=events,
        sessions=MemorySessions(ttl=1e9),
        tables=False,
        clock=clock,
    )
    return players, EngineDoor(engine, clock), events
