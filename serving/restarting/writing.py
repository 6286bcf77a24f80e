"""Snapshots of sessions in memory, written beside the event log while an engine serves."""

from __future__ import annotations

import logging
import os
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from offpolicy.storage.claims import claimed
from policies.validation import POSITIVE
from serving.engine import Engine, Rest
from serving.registry.durable import sync_folder
from serving.restarting.reading import meaning_of, snapshot_file
from serving.sessions.memory import MemorySessions, User
from serving.sessions.restoring import Restored
from serving.sessions.snapshot import Header, encode, write_header, write_part

TOGETHER = 64  # users of a part: requests wait while they are read
PACE = 20.0  # seconds of rest for every second of work while requests are answered

logger = logging.getLogger("serving")


class SnapshotWriter:
    """Writes what a store in memory knows to `file`, every `every` seconds in a thread between
    `start` and `stop`, and once more at the end. A file that is there is replaced by a rename.

    meaning: fingerprint of what numbers and keys mean. reached: numbers of the last events of each
    writer that the store was told of when it was restored.

    Users are read a few at a time, each as of an event's number, so that requests wait for none of
    it for long. What was forgotten while a file was written is not in it: it is begun again.

    Raises ValueError for `every` that is not above 0.
    """

    def __init__(
        self,
        engine: Engine,
        store: MemorySessions,
        file: Path,
        *,
        meaning: str,
        reached: Mapping[str, int],
        every: float = 30.0,
    ) -> None:
        POSITIVE.check("every", every)
        self.engine, self.store, self.file, self.every = engine, store, file, every
        self.meaning, self.writer = meaning, engine.events.writer
        self._others = {k: n for k, n in reached.items() if k != self.writer}
        self._start = reached.get(self.writer, -1)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._written = -1  # up to which event's number

    def start(self) -> Self:
        """Begin."""
        self._ending.clear()
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Write what is new, and write no more."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def write(self, *, rest: float = 0.0) -> bool:
        """Write a file now, unless nothing happened since the last one; whether it did.

        rest: seconds of rest for every second of work.

        Raises OSError where it cannot be written.
        """
        while True:
            with self.engine.at_rest() as began:
                first = max(self._start, began.latest)
            if first == self._written:
                return False
            with claimed(self.file, folder=False) as fresh:
                fresh.chmod(0o640)
                if self._filled(fresh, began, first, rest) and self._put(fresh, began):
                    self._written = first
                    return True

    def _filled(self, path: Path, began: Rest, first: int, rest: float) -> bool:
        """Whether it was, before somebody was forgotten."""
        names = self.store.names()
        with zipfile.ZipFile(path, "w") as file:
            for nth, start in enumerate(range(0, len(names), TOGETHER)):
                worked = time.perf_counter()
                with self.engine.at_rest() as now:
                    if now.forgotten != began.forgotten:
                        return False
                    number = max(self._start, now.latest)
                    part = self.store.read(names[start : start + TOGETHER], _encoded)
                if part is not None:
                    write_part(file, nth, number, part)
                self._ending.wait(rest * (time.perf_counter() - worked))
            header = Header(
                writer=self.writer, first=first, meaning=self.meaning, others=self._others
            )
            write_header(file, header)
        return True

    def _put(self, fresh: Path, began: Rest) -> bool:
        """Whether it took its place, before somebody was forgotten. The event log is on the disk
        before: numbers of a snapshot that went beyond it would be given a second time."""
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        self.engine.events.flush()
        with self.engine.at_rest() as now:
            if now.forgotten != began.forgotten:
                return False
            fresh.replace(self.file)
        sync_folder(self.file.parent)
        return True

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._ending.wait(self.every)
            try:
                self.write(rest=0.0 if ended else PACE)
            except Exception:  # a restart then reads more events
                logger.exception("the snapshot of sessions could not be written")


def _encoded(users: dict[str, User]) -> tuple[bytes, bytes] | None:
    """None where all of them are forgotten by now."""
    return encode(users) if users else None


def snapshots_of(
    engine: Engine, store: MemorySessions, restored: Restored
) -> SnapshotWriter | None:
    """A writer beside the engine's event log; None where the events are on a server."""
    file = snapshot_file(engine.events)
    if file is None:
        return None
    meaning = meaning_of(engine).fingerprint()
    return SnapshotWriter(engine, store, file, meaning=meaning, reached=restored.reached)
