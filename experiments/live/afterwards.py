"""After a drift: is the loop's version worth what a policy is worth that was taught afterwards?

The comparator learns, by the loop's learner and settings, from the sessions after the drift of the
line that never learns: the same users with their histories, who come at the same times, so that
there are as many sessions as the loop logged. It teaches with all of them, and from the first
policy's wide choice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.run_folder import RunFolder
from experiments.common.truth import ratio
from experiments.live.learning import recipe_of
from experiments.live.lines import Name, crowd_of, day_folder, records
from experiments.live.service import joined, world_of
from experiments.live.settings import Settings
from experiments.live.users.crowd import DAY
from experiments.live.users.doors import EngineDoor, SimulatedClock
from experiments.live.users.players import Players
from experiments.live.watching import bounds
from offpolicy import LoggedDataset
from policies import Policy
from serving import Catalogue, Engine, MemoryLog, MemorySessions, Registry, replay
from serving.relearning.recipe import learnt
from serving.sessions.memory import User

F64 = NDArray[np.float64]
Record = dict[str, Any]
TRUTH_DAYS = 2  # after the last day, on which the policies are compared
CROWDS: tuple[Name, ...] = ("loop", "never")  # whose users, with what each remembers of them


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
        "cpu_all": sum(r["cpu"] for r in every),
    }


def compare(settings: Settings, run: RunFolder) -> Record:
    """The champion of before the drift, the first version that the alarm taught, the loop's last
    version and the comparator, all on the same users on the days after the last, once with the
    histories that the loop has of them and once with those of the line that never learns."""
    began, found = time.process_time(), find(settings, run)
    registry = Registry(run.path / "lines" / "loop" / "registry")
    policies = {
        name: registry.load(found[key], warmed=False).policy
        for name, key in (("before", "champion"), ("first", "version"), ("loop", "final"))
        if found[key] is not None
    }
    log = served_after(settings, run, policies["before"])
    policies["comparator"] = learnt(
        recipe_of(settings), policies["before"].serving, log, settings.seed
    )
    level = settings.level
    of: dict[Name, dict[str, tuple[F64, F64]]] = {}
    for line in CROWDS:
        asked = policies if line == CROWDS[0] else {k: policies[k] for k in ("loop", "comparator")}
        known = _remembered(settings, run, line, policies["before"])
        of[line] = {
            name: _truth(settings, run, line, policy, known) for name, policy in asked.items()
        }
    mine, there = of[CROWDS[0]], of[CROWDS[1]]
    against = mine["comparator"][1]
    return found | {
        "learnt_from": log.n_sessions,
        "values": {name: bounds(values, level) for name, (values, _) in mine.items()},
        **{
            f"{name}_of_comparator": asdict(ratio(total, against, level))
            for name, (_, total) in mine.items()
            if name != "comparator"
        },
        "loop_of_comparator_elsewhere": asdict(
            ratio(there["loop"][1], there["comparator"][1], level)
        ),
        "compare_cpu": time.process_time() - began,
    }


def served_after(settings: Settings, run: RunFolder, like: Policy) -> LoggedDataset:
    """What the first policy served to the users from the drift on."""
    events = _events(settings, run, "never", settings.event)
    names = [str(i) for i in range(like.serving.n_items)]
    return joined(settings, events, like.serving, Catalogue(names))


def _events(settings: Settings, run: RunFolder, line: Name, first: int) -> list[bytes]:
    """All events of a line from a day on."""
    folders = [day_folder(settings, run, line, day) for day in range(first, settings.n_days)]
    return [one for at in folders for one in (at / "events.jsonl").read_bytes().splitlines()]


def _remembered(settings: Settings, run: RunFolder, line: Name, like: Policy) -> Mapping[str, User]:
    """What the service knows of a line's users at its end."""
    past, sessions = MemoryLog(), MemorySessions(ttl=1e9)
    for event in _events(settings, run, line, 0):
        past.append(event)
    replay(past, sessions, responses=len(like.serving.response_names))
    return sessions.read(sessions.names(), dict)


def _truth(
    settings: Settings, run: RunFolder, line: Name, policy: Policy, known: Mapping[str, User]
) -> tuple[F64, F64]:
    """Values of sessions (S,) and totals of users (U,) on the days after the last, which a line's
    users spend with a policy."""
    players, door = _after(settings, run, line, policy, known)
    values, total = [], np.zeros(settings.users)
    for day in range(settings.n_days, settings.n_days + TRUTH_DAYS):
        played = players.day(day, door)
        values.append(played.of("value"))
        np.add.at(total, played.of("user"), played.of("value"))
    return np.concatenate(values), total


def _after(
    settings: Settings, run: RunFolder, line: Name, policy: Policy, known: Mapping[str, User]
) -> tuple[Players, EngineDoor]:
    """The users of a line as they are at its end, and what the service remembers of them."""
    clock = SimulatedClock(settings.n_days * DAY)
    players = Players(world_of(settings).make, crowd_of(settings), seed=settings.seed)
    folder = day_folder(settings, run, line, settings.n_days - 1)
    with np.load(folder / "players.npz", allow_pickle=False) as state:
        players.restore({name: state[name] for name in state.files})
    sessions = MemorySessions(ttl=1e9)
    sessions.put(deepcopy(dict(known)))
    engine = Engine(
        policy,
        Catalogue([str(i) for i in range(policy.serving.n_items)]),
        version="served",
        secret=hashlib.sha256(f"afterwards {settings.seed}".encode()).digest(),
        events=MemoryLog(),
        sessions=sessions,
        tables=False,
        clock=clock,
    )
    return players, EngineDoor(engine, clock)
