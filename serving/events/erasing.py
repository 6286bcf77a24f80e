"""Sealed segments, rewritten without some of their events."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from serving.events.lines import line_of, lines_of, numbered
from serving.events.log import REMOVED
from serving.events.recovery import sync_folder

PARTIAL = ".erasing"  # of a segment that is being rewritten


def erase_in(path: Path, first: int, matches: Callable[[bytes], bool]) -> int:
    """Replace the events of a sealed segment that match by REMOVED, and return how many. They are
    all there until the new file is on the disk and has the segment's name; a reader in the middle
    goes on in the old one."""
    events = numbered(lines_of(path), first, path)
    gone = {n for n, event in events if event != REMOVED and matches(event)}
    if not gone:
        return 0
    fresh = path.with_name(f".{path.name}{PARTIAL}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        for number, event in numbered(lines_of(path), first, path):
            file.write(line_of(number, REMOVED if number in gone else event))
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)
    return len(gone)


def sweep(folder: Path) -> None:
    """Remove what a killed process had half rewritten. The folder is held by `one_at_a_time`."""
    for left in folder.glob(f".*{PARTIAL}"):
        left.unlink()
