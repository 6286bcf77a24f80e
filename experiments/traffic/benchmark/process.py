"""A server in a process of its own, its memory and its CPU time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self
from urllib.error import URLError
from urllib.request import urlopen

PATIENCE = 180.0  # s for a start
READY = re.compile(rb"serving on (http://\S+)")


@dataclass(slots=True)
class ServerProcess:
    """`python -m` with these arguments, which prints `serving on URL`; its errors go to a file.

    Raises OSError, with the end of those errors, for one that does not start.
    """

    arguments: Sequence[str]
    errors: Path
    url: str = ""
    cold_start: float = 0.0  # s from the process's start until /ready answers 200
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        began = time.perf_counter()
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            )
        assert self._process.stdout is not None
        self.url = self._printed_url(self._process.stdout)
        while not self._ready():
            self._check(began)
            time.sleep(0.02)
        self.cold_start = time.perf_counter() - began
        return self

    def kill(self) -> None:
        """As a power cut of the process: SIGKILL, and no word to it."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns its exit status."""
        return self._end(signal.SIGTERM)

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def cpu(self) -> float:
        """s of CPU that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """MB that are resident, at their peak."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGTERM if error[0] is None else signal.SIGKILL)

    def _printed_url(self, printed: IO[bytes]) -> str:
        for line in printed:
            if found := READY.search(line):
                return found[1].decode()
        self._end(signal.SIGKILL)
        raise OSError(self._said("ended before it served"))

    def _ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _check(self, began: float) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            status = self._end(signal.SIGKILL)
            raise OSError(self._said(f"ended with status {status}"))
        if time.perf_counter() - began > PATIENCE:
            self._end(signal.SIGKILL)
            raise OSError(self._said(f"was not ready within {PATIENCE:g} s"))

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        try:
            status = self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise OSError(self._said(f"did not end after {how.name}")) from None
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def said(self) -> str:
        """Its errors and alarms."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def _said(self, what: str) -> str:
        return f"the server ({' '.join(self.arguments)}) {what}:\n{self.said()[-2_000:]}"
