"""Who may write in a name, and who may take events out of a folder: one process at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.events.log import EventLogError

POLL = 0.02  # s between two tries


def held(folder: Path, writer: str) -> int:
    """A descriptor that holds a writer's name until it is closed, or its process ends. Waits while
    `one_at_a_time` is held, which seals what a killed process left.

    Raises EventLogError where another one writes in the name.
    """
    while True:
        busy = _is_busy(folder)
        lock = _locked(writer_file(folder, writer, "lock"))
        if lock is not None:
            return lock
        if not busy:
            raise EventLogError(
                f"another process writes to {folder} as {writer!r}, or a log of this one that was "
                "not closed: give each its own name, or close the other first"
            )
        time.sleep(POLL)


@contextmanager
def free(folder: Path, writer: str) -> Iterator[bool]:
    """Whether nobody writes in a name; if so it is held meanwhile."""
    lock = _locked(writer_file(folder, writer, "lock"))
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread takes events out of a folder: two at once would put
    back what the other one erased."""
    lock = _locked(_erasing(folder), wait=True)
    assert lock is not None
    try:
        yield
    finally:
        os.close(lock)


def writer_file(folder: Path, writer: str, kind: str) -> Path:
    """What a folder keeps about a writer beside the segments."""
    return folder / f".{writer}.{kind}"


def _is_busy(folder: Path) -> bool:
    lock = _locked(_erasing(folder))
    if lock is not None:
        os.close(lock)
    return lock is None


def _erasing(folder: Path) -> Path:
    return folder / ".erasing.lock"


def _locked(path: Path, wait: bool = False) -> int | None:
    """A descriptor that holds the lock; None where another one does."""
    import fcntl  # of POSIX systems only

    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock
