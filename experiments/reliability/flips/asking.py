"""Workers under a time limit: one that crashes or hangs is noted and started again."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CRASH, HANG = "crash", "hang"
FIRST, EACH = 120.0, 20.0  # s for a worker to start, and for each damage


class Answer(NamedTuple):
    """What became of one damage."""

    outcome: str
    done: str  # what was done to which file
    said: str  # by the error


class Worker:
    """One process at a time, for the damages of one kind."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "experiments.reliability.flips.worker", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, column: str, nth: int) -> Answer:
        """The answer of the process, or what became of it."""
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps([column, nth]).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # what became of it is read below
        return self._answer(process, EACH, f"{column} {nth}")

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            ready = self._answer(self._process, FIRST, "start")
            if ready.outcome != "ready":
                raise ValueError(f"a worker did not start: {ready.said}")
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], seconds: float, what: str) -> Answer:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                self.stop()
                return Answer(HANG, what, f"no answer in {seconds:g} s")
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            self.stop()
            name = signal.Signals(-status).name if status < 0 else f"status {status}"
            return Answer(CRASH, what, f"the process ended with {name}")
        return Answer(*json.loads(line))


@contextmanager
def worker(kind: str, folder: Path, other: Path, to: Path, seed: int) -> Iterator[Worker]:
    """Of a kind and a seed; it ends with the block."""
    one = Worker([kind, *map(str, (folder, other, to, seed))])
    try:
        yield one
    finally:
        one.stop()
