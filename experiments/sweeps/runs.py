"""`longplay runs list|compare|prune|join`: what was run, when, with which settings, and how it
ended; folders that are removed; shards that become one folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tyro

from experiments.common.durations import seconds_of
from experiments.common.tables import text_table
from experiments.sweeps.folders import STATES, Run, State, differing, run_at, runs_in
from experiments.sweeps.joining import join
from experiments.sweeps.results import side_by_side


@dataclass(frozen=True, kw_only=True)
class List:
    """List the run folders of a folder, the newest last."""

    root: tyro.conf.Positional[Path] = Path("results")
    """Where run folders are."""
    command: str | None = None
    """Only runs of this command."""
    state: tuple[State, ...] = ()
    """Only runs that ended so: stopped is also what was killed."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Set runs side by side: the settings that differ, and what came of compare and
    train-policy."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Two or more run folders."""

    def __post_init__(self) -> None:
        if len(self.folders) < 2:
            raise ValueError("name two run folders or more to compare")


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Remove run folders: those that are named, or those of a folder by state and age."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Run folders to remove."""
    root: Path | None = None
    """Instead of names: a folder of run folders, of which --state and --older-than choose."""
    state: tuple[State, ...] = ()
    """With --root: runs that ended so."""
    older_than: str | None = None
    """With --root: runs begun longer ago than that: 30d, 12h."""
    yes: bool = False
    """Remove them; otherwise they are only listed."""

    def __post_init__(self) -> None:
        if bool(self.folders) is (self.root is not None):
            raise ValueError("name run folders, or --root with --state or --older-than")
        if self.root is not None and not self.state and self.older_than is None:
            raise ValueError("--root needs --state or --older-than: not every run is to go")
        if self.root is None and (self.state or self.older_than is not None):
            raise ValueError("--state and --older-than choose among the runs of --root")
        if self.older_than is not None:
            seconds_of("--older-than", self.older_than)


@dataclass(frozen=True, kw_only=True)
class Join:
    """Make one run folder of those of shards, which --resume goes on with to the tables."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of one command with the same settings."""
    out: Path = Path("results")
    """Where run folders are made."""

    def __post_init__(self) -> None:
        if len(self.folders) < 2:
            raise ValueError("name two run folders or more to join")


Settings = List | Compare | Prune | Join


def run(settings: Settings) -> int:
    """Do it, and print what was found or done."""
    match settings:
        case List():
            return _list(settings)
        case Compare():
            runs = [run_at(folder) for folder in settings.folders]
            print(_settings_table(runs))
            if text := side_by_side(runs):
                print(f"\n{text}")
            return 0
        case Prune():
            return _prune(settings)
        case Join():
            folder, command = join(settings.folders, settings.out)
            print(f"written: {folder}\ngo on with: longplay {command} --resume {folder}")
            return 0


def _list(settings: List) -> int:
    runs = [
        run
        for run in runs_in(settings.root)
        if settings.command in (None, run.command)
        and (not settings.state or run.state in settings.state)
    ]
    if not runs:
        print(f"no run folder in {settings.root} is like that")
        return 0
    commands = {run.command for run in runs}
    keys = {one: differing([run for run in runs if run.command == one]) for one in commands}
    print(text_table([_line(run, keys[run.command]) for run in runs]))
    return 0


def _line(run: Run, keys: Sequence[str]) -> dict[str, str]:
    return {
        "folder": run.path.name,
        "command": run.command,
        "begun": run.begun.strftime("%Y-%m-%d %H:%M"),
        "state": run.state if run.error is None else f"{run.state}: {run.error[:40]}",
        "MB": f"{run.bytes / 1e6:.1f}",
        "settings that differ": " ".join(f"{k}={_said(run.settings.get(k))}" for k in keys),
    }


def _settings_table(runs: Sequence[Run]) -> str:
    head = {"setting": "command"} | {run.path.name: run.command for run in runs}
    lines = [head, {"setting": "state"} | {run.path.name: run.state for run in runs}]
    lines += [
        {"setting": key} | {run.path.name: _said(run.settings.get(key)) for run in runs}
        for key in differing(runs)
    ]
    return text_table(lines)


def _said(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _prune(settings: Prune) -> int:
    runs = [run_at(folder) for folder in settings.folders]
    if settings.root is not None:
        age = timedelta()
        if settings.older_than is not None:
            age = timedelta(seconds=seconds_of("--older-than", settings.older_than))
        states = settings.state or STATES
        before = datetime.now(UTC) - age
        runs = [r for r in runs_in(settings.root) if r.state in states and r.begun <= before]
        if not settings.state:  # what still runs is not meant by its age
            runs = [r for r in runs if r.state != "running"]
    if working := [str(run.path) for run in runs if run.state == "running"]:
        raise ValueError(f"a process works in {', '.join(working)}: stop it first")
    if not runs:
        print("no run folder is like that: nothing to remove")
        return 0
    for run in runs:
        print(f"{run.path}  {run.command}  {run.state}  {run.bytes / 1e6:.1f} MB")
    if not settings.yes:
        print(f"{len(runs)} run folders would be removed: give --yes to remove them")
        return 0
    for run in runs:
        shutil.rmtree(run.path)
    print(f"removed: {len(runs)} run folders, {sum(run.bytes for run in runs) / 1e6:.1f} MB")
    return 0
