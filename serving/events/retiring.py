"""Whole segments of which every event is old go; numbers go on as if they were there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from serving.events.lines import lines_of, numbered
from serving.events.locks import writer_file
from serving.events.recovery import sync_folder

TIME = re.compile(rb'"time":(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)')  # of an event, s


def next_after_retired(folder: Path, writer: str) -> int:
    """The number that follows the last one of a writer that was retired; 0 where none was."""
    try:
        return int(json.loads(_marker(folder, writer).read_bytes())["next"])
    except FileNotFoundError:
        return 0


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
        _write(_marker(folder, writer), json.dumps({"next": after}).encode())
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


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.fresh")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)
