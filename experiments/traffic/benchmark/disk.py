"""A disk that is full for a while."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from experiments.traffic.benchmark.bench import Bench, Row, audited
from experiments.traffic.benchmark.outage import outage, outage_rows
from experiments.traffic.schedule import Phase

ROOM = 64 << 20  # bytes
FILLER = "filler"


class Disk(NamedTuple):
    """A folder with little room."""

    kind: str
    fill: Callable[[int], None]  # a process -> no more of what it writes finds room
    free: Callable[[int], None]  # there is room again


def full_disk(bench: Bench, rps: float, seconds: float) -> list[Row]:
    """Load, for the middle third of which the disk is full."""
    folder = bench.events("disk")
    folder.mkdir()
    with small_disk(folder) as disk:
        with bench.server("disk", events=str(folder)) as server:
            fill, free = (partial(do, server.pid) for do in (disk.fill, disk.free))
            record, watched = outage(bench, server, Phase(rps, seconds), fill, free, 300)
        part = f"full disk ({disk.kind})"
        rows = outage_rows(part, record, watched, server.said())
        return rows + audited(part, bench.audit(str(folder), [record]), outage=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A file system of ROOM bytes in memory where we may mount one; a limit on the size of files
    otherwise, which a write meets in the same way."""
    size = f"size={ROOM}"
    if os.geteuid() or _run("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)):
        yield Disk("a limit of file sizes", lambda pid: _limit(pid, 1), lambda pid: _limit(pid))
        return
    try:
        filler = folder / FILLER
        yield Disk("a small file system", lambda pid: _fill(filler), lambda pid: filler.unlink())
    finally:
        _run("umount", str(folder))


def _fill(filler: Path) -> None:
    """Write until there is no room at all."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def _run(*command: str) -> int:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 1


def _limit(pid: int, size: int = resource.RLIM_INFINITY) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
