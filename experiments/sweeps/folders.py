"""What a run folder says of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from experiments.common.run_folder import HOW, STATE, RunFolder, held, recorded

State = Literal["done", "failed", "stopped", "running", "unknown"]  # stopped: or killed
STATES: tuple[str, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder: what was asked for, when, and how it ended."""

    path: Path
    command: str
    settings: dict[str, Any]
    begun: datetime
    state: str
    error: str | None
    bytes: int


def run_at(path: Path) -> Run:
    """The run of a folder; ValueError or FileNotFoundError where it is no run folder."""
    record = recorded(path)
    try:
        command, begun = str(record["command"]), datetime.fromisoformat(record["made"]["at"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path} is no run folder: its settings.json does not say which command made it, when"
        ) from None
    told = RunFolder(path).read_json(STATE) if (path / STATE).is_file() else {}
    state = "running" if held(path) else told.get("state", "unknown")
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file() and not f.is_symlink())
    begun = begun if begun.tzinfo else begun.replace(tzinfo=UTC)
    return Run(path, command, record["settings"], begun, state, told.get("error"), size)


def runs_in(root: Path) -> list[Run]:
    """The run folders of a folder, by when they were begun.

    Raises FileNotFoundError where there is no such folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    found = []
    for path in sorted(root.iterdir()):
        if path.is_symlink() or not (path / "settings.json").is_file():
            continue
        try:
            found.append(run_at(path))
        except ValueError:  # another program's settings.json
            continue
    return sorted(found, key=lambda run: run.begun)


def differing(runs: Sequence[Run]) -> list[str]:
    """Names of settings that say what is run and are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [
        name
        for name in names
        if name not in HOW and len({repr(run.settings.get(name)) for run in runs}) > 1
    ]
