"""Runs in processes of their own that are stopped at a moment, and what they leave behind."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from experiments.reliability.kills.jobs import Step

STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
END, GONE = 60.0, 10.0  # s for a run to end, and for what it started to be gone
WHOLE = 300.0  # s for a run that nobody stops
STAT = 3  # the session in /proc/PID/stat, after the command


class Ended(NamedTuple):
    """A run that ended."""

    status: int | None  # None: it did not end
    seconds: float  # until it did
    done: int  # finished steps
    errors: str  # what it wrote to stderr
    left: int  # processes that it started and that did not end


class BrokenPromiseError(ValueError):
    """What was found after a stop."""


class Launcher:
    """Forks runs of a process that has imported everything."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "experiments.reliability.kills.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        if self._read(WHOLE) != "ready":
            raise ValueError("the process that forks runs did not start")
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, steps: Sequence[Step], out: Path) -> int:
        """Begin a run, whose output goes to files of that name; its process and session."""
        for kind in ("1", "2", "done"):
            Path(f"{out}.{kind}").unlink(missing_ok=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"steps": steps, "out": str(out)}).encode() + b"\n")
        self._process.stdin.flush()
        process = self._read(WHOLE)
        if not isinstance(process, int):
            raise ValueError("a run could not be begun")
        return process

    def end(
        self, process: int, out: Path, stop: signal.Signals | None = None, after: float = WHOLE
    ) -> Ended:
        """Wait for a run's end, or send a signal after some seconds. SIGINT goes to all processes
        of the run, as from a terminal."""
        began = time.monotonic()
        status = self._read(after)
        if status is None and stop is not None:
            send = os.killpg if stop == signal.SIGINT else os.kill
            send(process, stop)
            status = self._read(END)
        seconds = time.monotonic() - began
        if status is None:
            os.kill(process, signal.SIGKILL)
            self._read(END)
        done, errors = Path(f"{out}.done"), Path(f"{out}.2")
        return Ended(
            status if isinstance(status, int) else None,
            seconds,
            len(done.read_bytes()) if done.exists() else 0,
            errors.read_text(errors="replace") if errors.exists() else "",
            end_session(process),
        )

    def _read(self, seconds: float) -> object:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(max(seconds, 0.0)):
                return None
        line = self._process.stdout.readline()
        if not line:
            raise ValueError("the process that forks runs ended")
        return json.loads(line)


def check_end(ended: Ended, sent: signal.Signals) -> None:
    """Raise BrokenPromiseError unless the run ended as that signal ends runs, or had ended."""
    if ended.left:
        raise BrokenPromiseError(f"{ended.left} processes were left")
    if ended.status == 0:
        return
    if ended.status is None:
        raise BrokenPromiseError("it did not end")
    if ended.status != STATUS[sent]:
        raise BrokenPromiseError(f"status {ended.status}: {ended.errors[-300:]}")
    if sent != signal.SIGKILL and ("Traceback" in ended.errors or "stopped" not in ended.errors):
        raise BrokenPromiseError(f"it said {ended.errors[-300:]!r}")


def end_session(session: int) -> int:
    """How many processes of a session are there after `GONE` seconds; they are ended."""
    until = time.monotonic() + GONE
    while (left := _members(session)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return len(left)


def _members(session: int) -> list[int]:
    """Processes of a session that are no zombies."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[STAT]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found
