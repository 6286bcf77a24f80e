"""Files and folders that are whole or not there, also after a power cut: synced, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from offpolicy.storage.atomic import atomic_file, atomic_folder
from offpolicy.storage.claims import sweep

BLOCK = 1 << 16  # bytes that are read at a time
WRITING = ".writing-"  # in the names of what `offpolicy.storage.claims` has not put in place


def write_durably(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """The file holds the old content or the new one, whatever happens; on return the new one is on
    the disk."""
    with atomic_file(path) as fresh:
        fresh.chmod(mode)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(path.parent)


@contextmanager
def durable_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` once all in it is on the disk."""
    with atomic_folder(path) as fresh:
        yield fresh
        for folder, _, names in os.walk(fresh):
            for name in names:
                with (Path(folder) / name).open("rb") as file:
                    os.fsync(file.fileno())
            sync_folder(Path(folder))
    sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """One more line at the end of a file, on the disk on return; a piece of a line that a killed
    process left there is cut off first. One process at a time."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        end = _end_of_lines(handle)
        if os.fstat(handle).st_size != end:
            os.ftruncate(handle, end)
        try:
            written = os.pwrite(handle, line + b"\n", end)
            if written <= len(line):
                raise OSError(f"only {written} bytes of a line could be written: a full disk?")
        except OSError:
            os.ftruncate(handle, end)
            raise
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_folder(path.parent)


def last_line(path: Path) -> bytes | None:
    """The last whole line of a file, without its end; None where there is none. Reads the file's
    end alone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        end = _end_of_lines(handle)
        if end == 0:
            return None
        begin = _end_of_lines(handle, end - 1)
        return os.pread(handle, end - 1 - begin, begin)
    finally:
        os.close(handle)


def last_line_where(path: Path, holds: Callable[[bytes], bool]) -> bytes | None:
    """The last whole line for which `holds` is true, of a file in which it is true for the first
    lines and no others; None where there is none. Halves the file: few lines are read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        low, high, found = 0, _end_of_lines(handle), None  # where lines begin
        while low < high:
            begin = _end_of_lines(handle, (low + high) // 2)
            line = _line_at(handle, begin)
            if holds(line):
                low, found = begin + len(line) + 1, line
            else:
                high = begin
        return found
    finally:
        os.close(handle)


def _line_at(handle: int, begin: int) -> bytes:
    """The line that begins there, without its end, which the file has."""
    line = b""
    while b"\n" not in line:
        line += os.pread(handle, BLOCK, begin + len(line))
    return line[: line.index(b"\n")]


def _end_of_lines(handle: int, before: int | None = None) -> int:
    """Where the last line's end lies, before a place or in all the file: one further, or 0."""
    at = os.fstat(handle).st_size if before is None else before
    while at > 0:
        begin = max(0, at - BLOCK)
        found = os.pread(handle, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0


def whole_lines(content: bytes) -> bytes:
    """All up to the last line's end."""
    return content[: content.rfind(b"\n") + 1]


def sweep_folder(folder: Path) -> None:
    """Remove what killed writers left in a folder."""
    for left in folder.glob(f".*{WRITING}*"):
        sweep(folder / left.name[1:].rpartition(WRITING)[0])


def sync_folder(folder: Path) -> None:
    """Names in the folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
