"""What is taken out of a folder of sealed segments: single events, and segments that are old."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from offpolicy.storage.sealed import sealed, unsealed
from serving.events.lines import line_of, lines_of, numbered
from serving.events.locks import writer_file
from serving.events.log import REMOVED, EventLogError
from serving.events.recovery import sync_folder

PARTIAL = ".partial"  # of a file that is being written
TIME = re.compile(rb'"time":(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)')  # of an event, s


def erase_in(path: Path, first: int, matches: Callable[[bytes], bool]) -> int:
    """Replace the events of a sealed segment that match by REMOVED, and return how many. They are
    all there until the new file is on the disk and has the segment's name; a reader in the middle
    goes on in the old one."""
    events = numbered(lines_of(path), first, path)
    gone = {n for n, event in events if event != REMOVED and matches(event)}
    if not gone:
        return 0
    events = numbered(lines_of(path), first, path)
    _replace(path, (line_of(n, REMOVED if n in gone else event) for n, event in events))
    return len(gone)


def sweep(folder: Path) -> None:
    """Remove what a killed process had half rewritten. The folder is held by `one_at_a_time`."""
    for left in folder.glob(f".*{PARTIAL}"):
        left.unlink()


def next_after_retired(folder: Path, writer: str) -> int:
    """The number that follows the last one of a writer that was retired; 0 where none was."""
    file = _marker(folder, writer)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return 0
    fix = 'take it from a copy, or write {"next": N}, N above all numbers of events, into it'
    try:
        after = unsealed(json.loads(content), file, ("next",), fix=fix)["next"]
    except (ValueError, KeyError, RecursionError) as error:
        raise EventLogError(f"{file} is damaged ({error}): {fix}") from None
    if not isinstance(after, int) or after < 0:
        raise EventLogError(f"{file} is damaged ({after!r} is no number of events): {fix}")
    return after


def retire_segments(
    folder: Path, writer: str, segments: Sequence[tuple[int, Path]], before: float
) -> list[int]:
    """Remove a writer's sealed segments, oldest first, up to the first one that holds an event of
    `before` (s) or later; the number of events of each. That numbers go on is on the disk before
    anything goes."""
    old, after = [], 0
    for first, path in segments:
        count = _count_if_old(first, path, before)
        if count is None:
            break
        old.append(count)
        after = first + count
    if old:
        _replace(_marker(folder, writer), [json.dumps(sealed({"next": after})).encode()])
    for _, path in segments[: len(old)]:
        path.unlink()
        sync_folder(folder)
    return old


def _count_if_old(first: int, path: Path, before: float) -> int | None:
    """Its number of events, if all are from before; what was erased is as old as may be."""
    count = 0
    for _, event in numbered(lines_of(path), first, path):
        time = _time(event)
        if time is not None and time >= before:
            return None
        count += 1
    return count


def _time(event: bytes) -> float | None:
    match = TIME.search(event)
    return None if match is None else float(match[1])


def _marker(folder: Path, writer: str) -> Path:
    return writer_file(folder, writer, "retired")


def _replace(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file whole, and to the disk, or leave it as it was."""
    fresh = path.with_name(f".{path.name}{PARTIAL}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)
