"""A run folder that explains itself: settings, stages that need not be done twice, atomic files."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from offpolicy.storage.atomic import write_bytes

_begun: ContextVar[Path | None] = ContextVar("begun", default=None)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's files under `path`; every write is a temporary name, then a rename."""

    path: Path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file whole or not at all."""
        return self.write_bytes(name, text.encode("utf-8"))

    def write_bytes(self, name: str, data: bytes) -> Path:
        """Write a file whole or not at all."""
        target = self.path / name
        write_bytes(target, data)
        return target

    def write_json(self, name: str, value: Any) -> Path:
        """Write JSON; numbers that JSON does not know (NaN, infinity) become null."""
        text = json.dumps(plain(value), indent=2, allow_nan=False, default=str)
        return self.write_text(name, text + "\n")

    def read_json(self, name: str) -> Any:
        """Read a file that `write_json` wrote; ValueError names a file that is not JSON."""
        file = self.path / name
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{file} is not JSON ({error}); delete it and resume") from None

    def has(self, name: str) -> bool:
        """Whether that stage has been done."""
        return (self.path / f"stages/{name}.json").exists()

    def stage(self, name: str, work: Callable[[], Any]) -> Any:
        """The JSON result of `work`, done once: a resumed run reads it back."""
        file = f"stages/{name}.json"
        if not self.has(name):
            self.write_json(file, work())
        return self.read_json(file)


def open_run(root: Path, command: str, settings: Any, resume: Path | None) -> RunFolder:
    """A new folder `root/<time>-<command>` with settings.json, or the one to go on with.

    Raises ValueError when the folder to resume was made with other settings, or for a seed below 0.
    """
    if getattr(settings, "seed", 0) < 0:
        raise ValueError(f"--seed is {settings.seed}; give a whole number of 0 or more")
    chosen = plain(dataclasses.asdict(settings))
    if resume is None:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = new_folder(root, f"{stamp}-{command.replace(' ', '-')}")
        run = RunFolder(path)
        _begun.set(path)
        run.write_json(
            "settings.json", {"command": command, "settings": chosen, "made": made_with()}
        )
        return run
    run = RunFolder(resume)
    if not (resume / "settings.json").exists():
        raise FileNotFoundError(f"{resume} is no run folder: it has no settings.json")
    _begun.set(resume)
    before = run.read_json("settings.json")
    before = before.get("settings") if isinstance(before, dict) else None
    if not isinstance(before, dict):
        raise ValueError(f"{resume}/settings.json names no settings: start a new run")
    changed = [
        k for k in chosen if k != "resume" and before.get(k) != json.loads(json.dumps(chosen[k]))
    ]
    if changed:
        raise ValueError(
            f"{resume} was started with other settings ({', '.join(changed)}): give the same ones "
            "to resume, or start a new run"
        )
    return run


def begun() -> Path | None:
    """The folder of the run that this process opened last."""
    return _begun.get()


def new_folder(root: Path, name: str) -> Path:
    """A folder that nobody else has made: two runs of one second get two."""
    root.mkdir(parents=True, exist_ok=True)
    for nth in count(1):
        path = root / (name if nth == 1 else f"{name}-{nth}")
        with suppress(FileExistsError):
            path.mkdir()
            return path
    raise AssertionError("count() does not end")


def made_with() -> dict[str, Any]:
    """What a reader needs to repeat the run."""
    names = ("longplay", "numpy", "torch", "gymnasium", "stable-baselines3", "numba")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": sys.argv[1:],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
    }


def plain(value: Any) -> Any:
    """Nested dicts, lists and numbers that JSON can hold."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
