"""A run folder that explains itself: settings, stages that need not be done twice, atomic files."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from offpolicy.storage.atomic import write_bytes
from policies.saving.checkpoint import INSIDE

SETTINGS, STATE, LOCK, FAILED = "settings.json", "state.json", ".lock", "failed"
INPUTS = "inputs"  # of settings.json: what was read, by path
ACCOUNTS = ("manifest.json", "config.json", "arrays.npz")  # of what a folder of them holds
HOW = ("resume", "out", "workers", "executor", "shard")  # say how a run is done, not what it finds
_begun: ContextVar[Path | None] = ContextVar("begun", default=None)
_locks: dict[Path, int] = {}  # folder -> the open file by which this process holds it


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

    Raises ValueError when the folder to resume was made with other settings, when another process
    works in it, or for a seed below 0.
    """
    if getattr(settings, "seed", 0) < 0:
        raise ValueError(f"--seed is {settings.seed}; give a whole number of 0 or more")
    if resume is None:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = new_folder(root, f"{stamp}-{command.replace(' ', '-')}")
        return begin(path, command, settings)
    run, chosen, record = RunFolder(resume), plain(dataclasses.asdict(settings)), recorded(resume)
    before = record["settings"]
    usual = {f.name: plain(f.default) for f in dataclasses.fields(settings)}
    was = {k: before.get(k, usual[k]) for k in chosen if k not in HOW}  # a setting that is newer
    # than the folder had its default
    changed = [k for k, value in was.items() if value != json.loads(json.dumps(chosen[k]))]
    if changed:
        told = ", ".join(f"{k}: {was[k]!r}, now {chosen[k]!r}" for k in changed)
        raise ValueError(
            f"{resume} was started with other settings ({', '.join(changed)}): {told}. --resume "
            f"{resume} alone goes on with its own; other settings are a new run"
        )
    _check_inputs(resume, record.get(INPUTS), digests(settings))
    _hold(resume)
    shutil.rmtree(resume / FAILED, ignore_errors=True)  # what failed is tried again
    return run


def begin(path: Path, command: str, settings: Any) -> RunFolder:
    """A new run in an empty folder that is there."""
    run = RunFolder(path)
    _hold(path)
    chosen = plain(dataclasses.asdict(settings))
    said = {"command": command, "settings": chosen, INPUTS: digests(settings)}
    run.write_json(SETTINGS, said | {"made": made_with()})
    return run


def digests(settings: Any) -> dict[str, str]:
    """sha256 of each file that a run's settings name, and of what says what is in each folder of
    a log, a world or a model; by path. Texts are looked through: of "label=FOLDER" FOLDER is one.
    """
    found: dict[str, str | None] = {}
    for name, value in dataclasses.asdict(settings).items():
        for one in () if name in HOW else value if isinstance(value, tuple) else (value,):
            words = re.split("[=,]", one) if isinstance(one, str) else []
            for path in [str(one), *words] if isinstance(one, str | Path) else []:
                found[path] = _sha256(Path(path)) if path else None
    return {path: sha for path, sha in found.items() if sha is not None}


def _sha256(path: Path) -> str | None:
    """Of a file, or of a folder's own account of itself; of nothing else."""
    whole = hashlib.sha256()
    inner = (path / name / account for name in INSIDE for account in ACCOUNTS)
    files = [one for one in (path, *inner) if _is_file(one)]
    for file in files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest() if files else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a path
        return False


def _check_inputs(resume: Path, before: Any, now: dict[str, str]) -> None:
    """Raise ValueError where a run would go on with another file than it began with."""
    for path, sha in (before if isinstance(before, dict) else {}).items():
        if now.get(path, sha) != sha:
            raise ValueError(
                f"{path} is not what it was when {resume} was started, and what that folder holds "
                "was made from it: bring the old one back, or start a new run"
            )


def recorded(path: Path) -> dict[str, Any]:
    """What settings.json of a run folder says: command, settings, made.

    Raises:
        FileNotFoundError: no run folder.
        ValueError: settings.json is none.
    """
    if not (path / SETTINGS).is_file():
        raise FileNotFoundError(f"{path} is no run folder: it has no {SETTINGS}")
    record = RunFolder(path).read_json(SETTINGS)
    if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
        raise ValueError(f"{path}/{SETTINGS} names no settings: start a new run")
    return record


def _hold(path: Path) -> None:
    """This process works in the folder until it ends or has `ended`."""
    _begun.set(path)
    if path.resolve() in _locks:
        return
    file = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    if not _locked(file):
        os.close(file)
        _begun.set(None)
        raise ValueError(f"another process works in {path}: wait for it, or stop it")
    _locks[path.resolve()] = file
    RunFolder(path).write_json(STATE, {"state": "stopped"})  # it stays where it is killed outright


def ended(state: str, error: str | None = None) -> None:
    """Write how the run that this process began ended (done, failed, stopped), and let its folder
    go; nothing where it began none."""
    path = _begun.get()
    file = None if path is None else _locks.pop(path.resolve(), None)
    if path is None or file is None:
        return
    told = {"state": state} if error is None else {"state": state, "error": error}
    RunFolder(path).write_json(STATE, told)
    os.close(file)


@contextmanager
def restored() -> Iterator[None]:
    """The run that this process began stays the one it is in, whatever is begun meanwhile."""
    before = _begun.get()
    try:
        yield
    finally:
        _begun.set(before)


def held(path: Path) -> bool:
    """Whether a process works in a run folder."""
    if path.resolve() in _locks:
        return True
    try:
        file = os.open(path / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    free = _locked(file)
    os.close(file)
    return not free


def _locked(file: int) -> bool:
    """Whether this process holds the lock of an open file now; nobody where there are no locks."""
    import fcntl  # of POSIX systems only

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
            raise
    return True


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
        "threads": os.environ.get("OMP_NUM_THREADS"),  # other numbers of them sum in other orders
        "versions": {name: _version(name) for name in names},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout on the path
        return "not installed"


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
