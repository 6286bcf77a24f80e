"""Names to write under beside a path, and who removes them when their writer was killed.

A writer holds the lock of what it writes. The system gives a lock back when a process ends, so that
whatever stands beside a path unlocked is a dead writer's, and the next writer removes it. Where a
file system knows no locks nothing is removed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)
JUST = 1.0  # seconds
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


@contextmanager
def claimed(path: Path, *, folder: bool) -> Iterator[Path]:
    """A new, locked file or folder beside `path`; gone at the end, if it was not renamed."""
    sweep(path)
    fresh = _beside(path, "writing")
    if folder:
        fresh.mkdir()
    else:
        fresh.touch(exist_ok=False)
    with held(fresh):
        try:
            yield fresh
        finally:
            remove(fresh)


@contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether the lock of a file or folder was taken; with `wait`, after its holder gives it up."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # it is gone, or this system opens no folders
        yield False
        return
    try:
        yield _lock(descriptor, wait)
    finally:
        os.close(descriptor)


def sweep(path: Path) -> None:
    """Remove what dead writers left beside `path`; a folder that one had moved aside comes back."""
    for left in _left(path, "writing"):
        with held(left) as dead:
            if dead and not _just_made(left):
                remove(left)
    for left in _left(path, "old"):
        with held(left) as dead:
            if dead and path.exists():
                remove(left)
            elif dead:
                left.rename(path)


def standing(path: Path) -> Path:
    """`path`, or where its folder stands while, or because, its replacement was interrupted."""
    old = [] if path.exists() else _left(path, "old")
    return old[0] if old else path


def put_in_place(fresh: Path, path: Path) -> None:
    """`fresh` takes the name `path`; what stood there goes, in one step where the system can."""
    if not os.path.lexists(path):
        fresh.rename(path)
    elif not exchange(fresh, path):
        with held(path):
            old = path.rename(_beside(path, "old"))
            fresh.rename(path)
            remove(old)


def exchange(a: Path, b: Path) -> bool:
    """Swap what two names stand for, in one step; False where system or file system cannot."""
    rename = None if sys.platform != "linux" else _renameat2()
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(b))


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it; nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _just_made(path: Path) -> bool:
    """It is empty and young: its writer may be about to lock it."""
    with suppress(OSError):
        empty = not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0
        return empty and time.time() - path.stat().st_mtime < JUST
    return False


def _renameat2() -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def _lock(descriptor: int, wait: bool) -> bool:
    if sys.platform == "win32":
        return False
    with suppress(OSError):  # another holds it, or the file system knows no locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    return False


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}-{secrets.token_hex(6)}")


def _left(path: Path, what: str) -> list[Path]:
    """Entries beside `path` that a writer named so."""
    name = re.compile(rf"\.{re.escape(path.name)}\.{what}-[0-9a-f]{{12}}")
    try:
        return [Path(one.path) for one in os.scandir(path.parent) if name.fullmatch(one.name)]
    except FileNotFoundError:
        return []
