"""F2, clocks, versions and killed processes: faults of what a service remembers."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

from experiments.faults.service.fault import Fault
from experiments.faults.service.parts import Parts
from experiments.faults.service.world import HOUR, taught
from experiments.live.service import add_policy
from serving import MemorySessions
from serving.events.lines import line_of
from serving.events.segments import SegmentLog
from serving.sessions.store import Known, Seen, Taken, Visit

LAG = 2 * HOUR  # of the store
BACK = 2 * HOUR  # that the clock goes back


class Lagging:
    """A session store whose writes are seen late, or never."""

    def __init__(self, store: Any, lag: float) -> None:
        self.store, self.lag = store, lag
        self.waiting: list[tuple[float, Sequence[Taken]]] = []

    def open(self, visits: Sequence[Visit], now: float) -> list[Seen]:
        while self.waiting and self.waiting[0][0] + self.lag <= now:
            at, taken = self.waiting.pop(0)
            self.store.apply(taken, at)
        found: list[Seen] = self.store.open(visits, now)
        return found

    def apply(self, taken: Sequence[Taken], now: float) -> int:
        self.waiting.append((now, list(taken)))
        return len(taken)

    def peek(self, users: Sequence[str]) -> list[Known | None]:
        known: list[Known | None] = self.store.peek(users)
        return known

    def forget(self, users: Sequence[str]) -> int:
        return int(self.store.forget(users))


class Failing(Lagging):
    """A session store that does not answer."""

    def open(self, visits: Sequence[Visit], now: float) -> list[Seen]:
        raise ConnectionError("the session store does not answer")


def _lags(parts: Parts) -> None:
    parts.engine.sessions = Lagging(parts.sessions, LAG)


def _stale(parts: Parts) -> None:
    parts.engine.sessions = Lagging(parts.sessions, float("inf"))


def _fails(parts: Parts) -> None:
    parts.engine.sessions = Failing(parts.sessions, 0.0)


def _forgets(parts: Parts) -> None:
    store: MemorySessions = parts.sessions
    store.forget(store.names())


def _clock_back(parts: Parts) -> None:
    parts.shift = -BACK


def _half_written(parts: Parts) -> None:
    """A version is promoted, and a copy to the server's disk ends in the middle of a file."""
    version = add_policy(parts.registry, taught(9.0), "the next one")
    parts.registry.promote(version, by="somebody", why="it is better")
    files = parts.registry.folder / "versions" / version / "policy"
    largest = max((file for file in files.rglob("*") if file.is_file()), key=_size)
    largest.chmod(0o600)
    os.truncate(largest, _size(largest) // 2)


def _size(file: Any) -> int:
    return int(file.stat().st_size)


def _killed_in_a_write(parts: Parts) -> None:
    """The server of a log on disk is killed, SIGKILL, when half of an event is written, and begins
    again; the process that watches the log reads on."""
    folder, events = parts.folder / "events", list(parts.log.events)
    with_all = SegmentLog(folder, writer=parts.log.writer, sync=None)
    for event in events:
        with_all.append(event)
    with_all.close()
    child = os.fork()
    if child == 0:
        _write_half_and_die(folder, parts.log.writer, events[-1])
    os.waitpid(child, 0)
    parts.log = SegmentLog(folder, writer=parts.log.writer, sync=None)
    if parts.log.dropped_bytes == 0:
        raise RuntimeError("the killed process left no half of an event")
    parts.begin()
    parts.controller.close()
    parts.watch()


def _write_half_and_die(folder: Any, writer: str, event: bytes) -> None:
    """In a process of its own: an acknowledged event, half of another one, and the end."""
    try:
        log = SegmentLog(folder, writer=writer, sync=None)
        number = log.append(event)  # the same decision again: a retry
        half = line_of(number + 1, event)[: len(event) // 2]
        with next(folder.glob("*.open")).open("ab") as file:
            file.write(half)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


STATE = (
    Fault(
        name="store-lags",
        title="F2 a store that lags",
        stands_for=f"what users took is seen {LAG / HOUR:.0f} hours later",
        inject=_lags,
        seen_by=("LongplayHistoryMismatch", "LongplayHistoryAgeP50"),
    ),
    Fault(
        name="store-stale",
        title="F2 a stale store",
        stands_for="what users took is never seen again",
        inject=_stale,
        seen_by=("LongplayHistoryMismatch", "LongplayHistoryAgeP50"),
    ),
    Fault(
        name="store-fails",
        title="F2 a store that is gone",
        stands_for="the session store does not answer",
        inject=_fails,
        seen_by=("LongplayFallback", "LongplayLogged", "engine: sessions failed"),
    ),
    Fault(
        name="store-forgets",
        title="F2 a store that was emptied",
        stands_for="no user is known any more: the store began anew, without its snapshot",
        inject=_forgets,
        seen_by=("LongplayNewUsers",),
    ),
    Fault(
        name="half-written",
        title="a half-written version",
        stands_for="the version that was promoted is cut in the middle of a file",
        inject=_half_written,
        seen_by=("LongplayUnfollowed",),
    ),
    Fault(
        name="clock-back",
        title="a clock that goes back",
        stands_for=f"the server's clock is set back by {BACK / HOUR:.0f} hours",
        inject=_clock_back,
        seen_by=("count: backward_events",),
    ),
    Fault(
        name="killed-in-a-write",
        title="kill -9 in a write",
        stands_for="the server is killed when half of an event is on disk, and begins again",
        inject=_killed_in_a_write,
        unseen="nothing that was acknowledged is lost, numbers have no gap, and one restart is "
        "no alarm",
    ),
)
