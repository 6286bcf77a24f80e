"""What a killed process left open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from serving.events.lines import lines_of, numbered


class Recovered(NamedTuple):
    """What was found in a writer's last segment."""

    after: int  # the number that follows its last event
    dropped_bytes: int  # of a record that was half written


def recovered(path: Path, first: int) -> Recovered:
    """Count a segment whose writer's name is held; one that was left open is cut after its last
    whole line and sealed. Raises EventLogError for one that is damaged."""
    lines = list(lines_of(path))
    after = first + sum(1 for _ in numbered(iter(lines), first, path))
    if path.suffix != ".open":
        return Recovered(after, 0)
    end = sum(map(len, lines))
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        dropped = os.fstat(descriptor).st_size - end
        os.ftruncate(descriptor, end)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    seal(path, end)
    return Recovered(after, dropped)


def seal(path: Path, size: int) -> None:
    """Give a segment that is on the disk and has `size` bytes its final name; an empty one goes."""
    if size:
        path.rename(path.with_suffix(".jsonl"))
    else:
        path.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in a folder outlive the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
