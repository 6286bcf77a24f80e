"""A disk that is full for a while."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np

from experiments.traffic.benchmark.bench import Bench, Row, audited, zero
from experiments.traffic.benchmark.load import recovery
from experiments.traffic.play import play
from experiments.traffic.record import Record
from experiments.traffic.report import percent
from experiments.traffic.schedule import Phase
from experiments.traffic.summary import share

ROOM, MORE = 3 << 20, 256 << 20  # bytes at first, and once there is room again
ALARM = "event log failed"


class Disk(NamedTuple):
    """A folder with little room."""

    kind: str
    fill: Callable[[int], None]  # a process -> nothing
    free: Callable[[int], None]


def full_disk(bench: Bench, rps: float, seconds: float) -> list[Row]:
    """Load until well after the disk is full; for the last third of the time there is room."""
    folder = bench.events("disk")
    folder.mkdir()
    with small_disk(folder) as disk, bench.server("disk") as server:
        disk.fill(server.pid)
        failing = list[str]()

        def again() -> None:
            time.sleep(seconds * 2 / 3)
            with urlopen(f"{server.url}/ready", timeout=10) as answer:
                failing.extend(json.load(answer).get("failing", ()))
            disk.free(server.pid)

        freed = threading.Thread(target=again, name="room-again")
        freed.start()
        record = play(server.url, bench.plan([Phase(rps, seconds)], 300))
        freed.join()
        server.stop()
        rows = _rows(f"full disk ({disk.kind})", record, seconds * 2 / 3, failing)
        said = (bench.folder / "disk.errors").read_text(errors="replace")
        alarms = said.count(ALARM)
        rows.append(Row(rows[0].part, "alarms in the server's log", f"{alarms}", "> 0", alarms > 0))
        return rows + audited(rows[0].part, bench.audit(folder, [record]))


def _rows(part: str, record: Record, freed: float, failing: list[str]) -> list[Row]:
    good, mine = record.decides.good, record.by_policy
    due = np.array(record.decides.due)
    unlogged = [why for why in record.fallback.values() if why.startswith("event log")]
    full = np.array([why.startswith("event log") for why in record.fallback.values()])
    first = due[list(record.fallback)][full].min() if full.any() else np.inf
    during = (due > first + 0.5) & (due < freed - 0.5)
    back = recovery(record, freed)
    return [
        Row(part, "answered", percent(share(int(good.sum()), len(good))), "> 99.9%",
            good.mean() > 0.999),
        Row(part, "by the fallback, which says why", f"{len(unlogged):,}", "> 0",
            len(unlogged) > 0),
        zero(part, "by the policy, while the disk was full", int(mine[during].sum()),
             f" of {int(during.sum()):,}"),
        Row(part, "/ready names the log", ", ".join(failing) or "no", "event log",
            "event log" in failing),
        Row(part, "s until the policy answers again", "not" if back is None else f"{back:.1f}",
            "", None if back is not None else False),
    ]  # fmt: skip


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A file system of ROOM bytes in memory where we may mount one; a limit on the size of files
    otherwise, which a write meets in the same way."""
    mounted = os.geteuid() == 0 and not _run("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs",
                                             str(folder))  # fmt: skip
    if not mounted:
        yield Disk("a limit of file sizes", lambda pid: _limit(pid, ROOM), lambda pid: _limit(pid))
        return
    try:
        yield Disk(
            "a small file system",
            lambda pid: None,
            lambda pid: _remount(folder),
        )
    finally:
        _run("umount", str(folder))


def _remount(folder: Path) -> None:
    if _run("mount", "-o", f"remount,size={MORE}", str(folder)):
        raise OSError(f"{folder} could not be given more room")


def _run(*command: str) -> int:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 1


def _limit(pid: int, size: int = resource.RLIM_INFINITY) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
