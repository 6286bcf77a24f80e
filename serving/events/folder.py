"""A folder of segments, whoever writes them: to read, and to take events out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from serving.events.lines import lines_of, numbered
from serving.events.locks import free, one_at_a_time
from serving.events.log import REMOVED, Entry
from serving.events.recovery import recovered
from serving.events.removal import erase_in, next_after_retired, retire_segments, sweep

SNAPSHOT = ".sessions"  # ends the name of a file that tells what events come to
SEGMENT = re.compile(r"(?P<writer>[A-Za-z0-9_.]{1,64})-(?P<first>\d{12})\.(?:jsonl|open)")


class Segment(NamedTuple):
    """A file of events."""

    writer: str
    first: int  # number of its first event
    path: Path


class Retired(NamedTuple):
    """What went because it was old."""

    events: int
    segments: int


class SegmentFolder:
    """The events in `folder`. No writer's name is taken: a live writer is not disturbed.

    Raises FileNotFoundError where there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{folder} is no folder of events: there is no such folder")

    def writers(self) -> list[str]:
        """As an EventLog says them."""
        return sorted({segment.writer for segment in self.segments()})

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        """As an EventLog does; the open segment as far as it is written. What is retired meanwhile
        comes as REMOVED."""
        own, reached = self.segments(writer), None
        for nth, (_, first, path) in enumerate(own):
            if nth + 1 < len(own) and own[nth + 1].first <= after + 1:
                continue  # all of it was read before
            if reached is not None and reached < first <= self.next_after_retired(writer):
                yield from (Entry(writer, number, REMOVED) for number in range(reached, first))
                reached = first
            for number, event in numbered(lines_of(path), first, path):
                reached = number + 1
                if number > after:
                    yield Entry(writer, number, event)

    def last(self, writer: str) -> int:
        """As an EventLog says it."""
        own = self.segments(writer)
        if not own:
            return self.next_after_retired(writer) - 1
        return own[-1].first - 1 + sum(1 for _ in lines_of(own[-1].path))

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        """As an EventLog does. Sealed segments are rewritten, each by a rename, and those that
        killed processes left open; a segment that a process has open is left. Snapshots go: they
        tell what was erased."""
        with self._all_sealed() as sealed:
            for snapshot in self.folder.glob(f"*{SNAPSHOT}"):
                snapshot.unlink(missing_ok=True)
            return sum(erase_in(s.path, s.first, matches) for s in sealed)

    def retire(self, before: float) -> Retired:
        """Remove sealed segments of which all events are from before `before` (s), each writer's
        oldest first; a segment that a process has open stays. Numbers go on as if they were there,
        also when none is left and the writer is started again."""
        counts = []
        with self._all_sealed() as sealed:
            for writer in dict.fromkeys(s.writer for s in sealed):
                own = [(s.first, s.path) for s in sealed if s.writer == writer]
                counts += retire_segments(self.folder, writer, own, before)
        return Retired(sum(counts), len(counts))

    def next_after_retired(self, writer: str) -> int:
        """How many of a writer's events were retired: those with smaller numbers."""
        return next_after_retired(self.folder, writer)

    def segments(self, writer: str | None = None) -> list[Segment]:
        """Of a writer or of all, in order."""
        found = ((SEGMENT.fullmatch(path.name), path) for path in self.folder.iterdir())
        every = (Segment(m["writer"], int(m["first"]), path) for m, path in found if m)
        once = {s[:2]: s for s in every if writer in (None, s.writer)}  # one that is being sealed
        return [once[key] for key in sorted(once)]  # may be listed under both its names

    @contextmanager
    def _all_sealed(self) -> Iterator[list[Segment]]:
        """The sealed segments, those that killed processes left open among them; nobody else takes
        events out meanwhile."""
        with one_at_a_time(self.folder):
            sweep(self.folder)
            for segment in self.segments():
                if segment.path.suffix == ".open":
                    with free(self.folder, segment.writer) as is_free:
                        if is_free:
                            recovered(segment.path, segment.first)
            yield [s for s in self.segments() if s.path.suffix == ".jsonl"]
