"""Fuzzed calls in a process of their own, which is replaced when a call ends or hangs it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from experiments.reliability.fuzz.calls import Told

WORKER = [sys.executable, "-m", "experiments.reliability.fuzz.worker"]
WALL = 10  # times its CPU limit that a call may take, as it may wait for others


class Limits(NamedTuple):
    """What a call may take."""

    cpu_seconds: int
    memory_mb: int


def called(parts: tuple[str, ...], seed: int, first: int, last: int, limits: Limits) -> list[Told]:
    """What came of the calls `first` to `last` - 1, in their order."""
    told = list[Told]()
    while first + len(told) < last:
        told += _until_it_ends(parts, seed, first + len(told), last, limits)
    return told


def _until_it_ends(
    parts: tuple[str, ...], seed: int, first: int, last: int, limits: Limits
) -> list[Told]:
    """All of these calls, or those up to one that ended the process."""
    told, begun = list[Told](), ""
    job = {"parts": parts, "seed": seed, "first": first, "last": last, **limits._asdict()}
    with _process() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.close()
        for line in _lines(process.stdout, WALL * limits.cpu_seconds):
            if line is None:
                return [*told, Told(begun, "hang", f"it waited {WALL * limits.cpu_seconds} s")]
            said = json.loads(line)
            if "begun" in said:
                begun = said["target"]
            else:
                told.append(Told(**said))
        status = process.wait()
    if len(told) == last - first:
        return told
    if not begun:
        raise RuntimeError(f"a process of fuzzed calls ended with {status} before its first call")
    if status == -signal.SIGXCPU:
        return [*told, Told(begun, "hang", f"more than {limits.cpu_seconds} CPU seconds")]
    return [*told, Told(begun, "crash", f"the process ended with status {status}")]


@contextmanager
def _process() -> Iterator[subprocess.Popen[bytes]]:
    """A worker, in a session of its own so that it ends with all that it started."""
    process = subprocess.Popen(
        WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _lines(stream: IO[bytes], seconds: float) -> Iterator[bytes | None]:
    """Lines as they come; None, at the end, where none came for so long."""
    handle, rest = stream.fileno(), b""
    while True:
        ready, _, _ = select.select([handle], [], [], seconds)
        if not ready:
            yield None
            return
        more: Any = os.read(handle, 1 << 16)
        if not more:
            return
        *lines, rest = (rest + more).split(b"\n")
        yield from lines
