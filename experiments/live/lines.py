"""One line of days: the loop, or what it is compared with, each day a stage of the run folder."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.common.quiet import quiet
from experiments.common.run_folder import RunFolder
from experiments.live.forging import worse_version
from experiments.live.learning import Known, learn, promote_at_once
from experiments.live.service import STATES, Service, add_policy, first_policy, world_of
from experiments.live.settings import Settings
from experiments.live.users.crowd import DAY, Crowd
from experiments.live.users.players import Players, Sessions
from experiments.live.watching import Watched, bounds, values_by_version
from offpolicy import LoggedDataset
from serving import Registry
from serving.relearning.triggers import RelearnState

Name = Literal["loop", "never", "at_once", "watched"]
LINES: dict[str, tuple[Name, ...]] = {  # what the loop is compared with
    "steady": ("never", "at_once"),
    "drift": ("never", "at_once"),
    "bad_canary": ("never", "at_once", "watched"),
}
Record = dict[str, Any]


def stage_of(line: Name, day: int) -> str:
    """Its name in the run folder."""
    return f"{line}-day-{day:03d}"


def first_day(settings: Settings, line: Name) -> int:
    """The day from which on a line is played: of a bad canary all lines are the loop before."""
    return settings.event if settings.scenario == "bad_canary" and line != "loop" else 0


def left_to_do(settings: Settings, run: RunFolder, line: Name) -> list[int]:
    """Days that the run folder lacks."""
    days = range(first_day(settings, line), settings.n_days)
    return [day for day in days if not run.has(stage_of(line, day))]


def records(settings: Settings, run: RunFolder, line: Name) -> list[Record]:
    """All days of a line that was played."""
    shared = first_day(settings, line)
    names = [stage_of("loop" if d < shared else line, d) for d in range(settings.n_days)]
    return [run.read_json(f"stages/{name}.json") for name in names]


def day_folder(settings: Settings, run: RunFolder, line: Name, day: int) -> Path:
    """What a line knew at the end of a day."""
    owner = "loop" if day < first_day(settings, line) else line
    return run.path / "lines" / owner / f"day-{day:03d}"


def play(settings: Settings, folder: Path, line: Name) -> int:
    """All days of a line that are left to do; how many they were."""
    run = RunFolder(folder)
    left = left_to_do(settings, run, line)
    if left:
        with quiet(), closing(Line(settings, run, line, left[0])) as one:
            for day in left:
                run.stage(stage_of(line, day), partial(one.day, day))
    return len(left)


class Line:
    """What one way of serving the users knows, from one midnight to the next. A day's end is
    written down; a run that was killed goes on from the last one."""

    def __init__(self, settings: Settings, run: RunFolder, line: Name, first: int) -> None:
        self.settings, self.run, self.line = settings, run, line
        self.folder = run.path / "lines" / line
        self.world = world = world_of(settings)
        self.players = Players(world.make, crowd_of(settings), seed=settings.seed)
        self.watched, self.state = Watched(), RelearnState()
        self.logs: list[LoggedDataset] = []
        self.forged: str | None = None
        self.since = 0  # the day of the last change of the users that was noticed
        registry = self.folder / "registry"
        if first == first_day(settings, line) != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            versions = run.path / "lines" / "loop" / "registry" / "versions"
            shutil.copytree(versions, registry / "versions")
        if first == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            new = Registry(registry, clock=lambda: 0.0)
            version = add_policy(new, first_policy(settings, world), "the first")
            new.promote(version, by="the loop", why="the first")
        else:
            self._restore_registry(first - 1)
        self.service = Service(settings, registry, now=first * DAY)
        if first:
            self._restore(first)

    def close(self) -> None:
        self.service.close()

    def day(self, day: int) -> Record:
        """Play a day, learn at its end, and say what it was."""
        service, began, cpu = self.service, len(self.service.events.events), time.process_time()
        looks = _Looks(service, self.settings.look_hours * 3600.0)
        forged = self._event(day)
        self.forged = forged or self.forged
        played = self.players.day(day, service.door, looks)
        service.clock.now = (day + 1) * DAY
        served = time.process_time() - cpu
        log = service.joined(began)
        self.logs.append(log)
        values = values_by_version(log)
        alarm = None
        if self.line in ("loop", "watched"):
            same = self.line == "watched"
            alarm = self.watched.see(day, service.live, values, same=same)
        if alarm is not None:
            self.since = alarm[0]
            if self.settings.scenario != "bad_canary":
                service.stop_rollout("it was learnt before the users changed")
        learnt = self._learn(day, alarm)
        record = {
            "line": self.line,
            "day": day,
            "sessions": log.n_sessions,
            "decisions": played.decisions,
            **bounds(np.array(played.value), self.settings.level),
            "total": float(np.sum(played.value)),
            "versions": {name: bounds(v, self.settings.level) for name, v in values.items()},
            "live": service.live,
            "steps": looks.steps,
            "forged": forged,
            "alarm": None if alarm is None else {"since_day": alarm[0], "what": alarm[1]},
            "learnt": learnt,
            "serve_cpu": served,
            "cpu": time.process_time() - cpu,
        }
        self._keep(day, began, played)
        return record

    def _event(self, day: int) -> str | None:
        """What happens from outside on this day, at midnight; the version that was forged."""
        s = self.settings
        if day != s.event or s.scenario == "steady":
            return None
        if s.scenario == "drift":
            self.players.turn()
            return None
        if self.line == "never":
            self.service.stop_rollout("nothing new is released")
            return None
        version = worse_version(self.service, self.world)
        self.service.stop_rollout("another version comes")
        if self.line == "loop":
            self.service.roll_out(version, "a gate report that says pass", "non_inferior")
        else:
            self.service.registry.promote(version, by="somebody", why="its gate report says pass")
            self.service.watcher.check()
        return version

    def _learn(self, day: int, alarm: tuple[int, str] | None) -> Record | None:
        bad = self.settings.scenario == "bad_canary"
        if bad and alarm is not None and self.line == "watched" and self.forged is not None:
            self.service.roll_back("an alarm after it was promoted")
            self.forged = None
        if (bad and day >= self.settings.event) or (self.line == "never" and not bad):
            return None
        known = Known(tuple(self.logs[self.since :]), self.since)
        if self.line == "at_once":
            self.state, found = promote_at_once(self.service, known, self.state)
            return found
        return learn(self.service, known, None if alarm is None else alarm[1])

    def _keep(self, day: int, began: int, played: Sessions) -> None:
        """Write down what the next day depends on; in the end by one rename."""
        work, folder = self.folder / f".day-{day:03d}", self.folder / f"day-{day:03d}"
        for old in (work, folder):
            shutil.rmtree(old, ignore_errors=True)
        (work / "registry").mkdir(parents=True)
        for file in changing(self.folder / "registry"):
            shutil.copy2(file, work / "registry" / file.name)
        events = self.service.events.events[began:]
        (work / "events.jsonl").write_bytes(b"".join(event + b"\n" for event in events))
        state = io.BytesIO()
        np.savez(state, **self.players.state())  # type: ignore[arg-type]
        (work / "players.npz").write_bytes(state.getvalue())
        known = {
            "watched": self.watched.to_dict(),
            "state": json.loads(self.state.to_json()),
            "since": self.since,
            "forged": self.forged,
            "played": {name: getattr(played, name) for name in ("user", "value", "policy")},
        }
        (work / "line.json").write_text(json.dumps(known), encoding="utf-8")
        work.rename(folder)

    def _restore_registry(self, day: int) -> None:
        """The registry as it was at the end of a day; versions that came later may stay."""
        registry = self.folder / "registry"
        for file in changing(registry):
            file.unlink()
        saved = day_folder(self.settings, self.run, self.line, day) / "registry"
        for file in saved.iterdir():
            shutil.copy2(file, registry / file.name)

    def _restore(self, first: int) -> None:
        where = partial(day_folder, self.settings, self.run, self.line)
        folders = [where(day) for day in range(first)]
        events = [(one / "events.jsonl").read_bytes().splitlines() for one in folders]
        self.service.restore([event for day in events for event in day])
        ends = np.cumsum([0, *map(len, events)]).tolist()
        self.logs = [self.service.joined(*part) for part in pairwise(ends)]
        known = json.loads((folders[-1] / "line.json").read_text(encoding="utf-8"))
        self.watched = Watched.from_dict(known["watched"])
        self.state, self.since = RelearnState.from_json(known["state"]), known["since"]
        self.forged = known["forged"]
        with np.load(folders[-1] / "players.npz", allow_pickle=False) as state:
            self.players.restore({name: state[name] for name in state.files})


class _Looks:
    """Between two moments of a day: shadows are asked, and now and then the controller looks."""

    def __init__(self, service: Service, every: float) -> None:
        self.service, self.every = service, every
        self.next = service.clock() + every
        self.steps: list[Record] = []

    def __call__(self, now: float) -> None:
        self.service.clock.now = now
        self.service.shadow()
        if now < self.next:
            return
        self.next += self.every
        step = self.service.look()
        if step is not None:
            kinds = [action.kind for action in step.actions]
            state = step.state
            self.steps.append(
                {
                    "time": now,
                    "rollout": state.rollout,
                    "version": state.version,
                    "phase": state.phase,
                    "weight": state.weight,
                    "actions": kinds,
                    "reason": step.reason,
                }
            )


def crowd_of(settings: Settings) -> Crowd:
    """The users."""
    return Crowd(
        users=settings.users, daily=settings.daily, shared=SHARED, direction=settings.direction
    )


SHARED = 0.6  # how far interests are moved towards one direction: what a drift mirrors


def changing(registry: Path) -> Iterable[Path]:
    """Files of a registry that change from day to day."""
    return sorted(file for pattern in STATES for file in registry.glob(pattern))
