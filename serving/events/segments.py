"""Events in a folder: JSON lines in segments, each written by one writer and then sealed.

A segment is `WRITER-FIRST.open` while it is written (FIRST is the number of its first event) and
becomes `WRITER-FIRST.jsonl` by a rename, so that a reader knows what will not change. A line is
`{"n": number, "event": ...}`. What is appended together is one write(2): what a killed process had
appended is there.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from policies.validation import COUNT, FROM_0, POSITIVE
from serving.events.folder import Retired, SegmentFolder
from serving.events.lines import line_of
from serving.events.locks import held
from serving.events.log import Entry, EventLogError
from serving.events.recovery import recovered, seal

WRITER = re.compile(r"[A-Za-z0-9_.]{1,64}")


class SegmentLog:
    """The log in `folder`, for one writer at a time, of any number of threads.

    segment_bytes, segment_seconds: a segment that has grown so large, or is open for so long, is
        sealed.
    sync: seconds between calls of fdatasync, after which events outlive the machine. They are made
        beside the appends, and the append after one that failed raises; 0 = within every append,
        None = by `flush` and `close` alone. A killed process loses nothing in any case.

    Raises ValueError for a writer whose name is not 1 to 64 letters, digits, dots and underscores,
    and EventLogError where another process writes in its name or a segment is damaged.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        writer: str = "main",
        segment_bytes: int = 64 << 20,
        segment_seconds: float = 86_400.0,
        sync: float | None = 0.1,
    ) -> None:
        if not WRITER.fullmatch(writer):
            raise ValueError(f"writer {writer!r}: use letters, digits, dots and underscores")
        COUNT.check("segment_bytes", segment_bytes)
        POSITIVE.check("segment_seconds", segment_seconds)
        if sync is not None:
            FROM_0.check("sync", sync)
        self.folder, self.writer = Path(folder), writer
        self.segment_bytes, self.segment_seconds = segment_bytes, segment_seconds
        self.sync = sync
        self.folder.mkdir(parents=True, exist_ok=True)
        self._segments = SegmentFolder(self.folder)
        self._lock: int | None = held(self.folder, writer)
        self._file: int | None = None  # descriptor of the open segment
        self._path, self._end = Path(), 0  # where it is, and the end of its last whole line
        self._begun = 0.0  # when, by the monotonic clock
        self._one = threading.RLock()
        self._synced = time.monotonic()
        self._syncing: Future[None] | None = None
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="event-log-sync")
        self.dropped_bytes = 0  # of a record that a killed process had half written
        self._next = self._recovered()

    def append(self, event: bytes) -> int:
        return self.append_many([event])[0]

    def append_many(self, events: Sequence[bytes]) -> list[int]:
        """Keep events in their order by one write(2), all of them or none."""
        with self._one:
            if self._lock is None:
                raise EventLogError(f"the log of {self.writer} at {self.folder} is closed")
            numbers = [*range(self._next, self._next + len(events))]
            lines = b"".join(map(line_of, numbers, events))
            if not numbers:
                return []
            try:
                self._written(lines)
            except OSError as error:
                said = f"event {numbers[0]} of {self.writer}: {error}"
                raise EventLogError(error.errno, said) from error
            self._next += len(numbers)
            return numbers

    def writers(self) -> list[str]:
        return self._segments.writers()

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        return self._segments.read(writer, after)

    def last(self, writer: str) -> int:
        return self._segments.last(writer)

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        """Rewrites sealed segments, the one of this log that is open among them; what another
        process has open is left. Appends go on meanwhile, in a segment that is new."""
        with self._one:
            self._seal()
        return self._segments.erase(matches)

    def retire(self, before: float) -> Retired:
        """Remove whole segments of which every event is from before `before` (s). Events go at most
        `segment_seconds` later than they are old."""
        with self._one:
            if self._is_long_open():
                self._seal()
        return self._segments.retire(before)

    def flush(self) -> None:
        with self._one:
            if self._file is not None:
                self._await_sync()
                os.fdatasync(self._file)
                self._synced = time.monotonic()

    def close(self) -> None:
        """Seal the segment; the writer's name is free again."""
        with self._one:
            if self._lock is not None:
                self._seal()
                self._aside.shutdown()
                os.close(self._lock)
                self._lock = None

    def _written(self, lines: bytes) -> None:
        """All of the lines, and as far as was promised on the disk, or nothing of it."""
        if self._syncing is not None and self._syncing.done():
            self._await_sync()
        if self._file is None or self._end >= self.segment_bytes or self._is_long_open():
            self._seal()
            self._begin()
        assert self._file is not None
        if os.fstat(self._file).st_size != self._end:  # an earlier failure left a piece
            os.ftruncate(self._file, self._end)
        try:
            written = os.pwrite(self._file, lines, self._end)
            if written < len(lines):
                said = f"only {written} of {len(lines)} bytes could be written: a full disk?"
                raise OSError(said)
            if self.sync == 0:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(lines)
        if self.sync and self._syncing is None and time.monotonic() >= self._synced + self.sync:
            self._synced = time.monotonic()
            self._syncing = self._aside.submit(os.fdatasync, self._file)

    def _await_sync(self) -> None:
        """Raise what went wrong beside the appends."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def _begin(self) -> None:
        self._path = self.folder / f"{self.writer}-{self._next:012d}.open"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._end, self._begun = 0, time.monotonic()

    def _is_long_open(self) -> bool:
        return time.monotonic() >= self._begun + self.segment_seconds

    def _seal(self) -> None:
        if self._file is None:
            return
        os.ftruncate(self._file, self._end)
        self.flush()
        os.close(self._file)
        self._file = None
        seal(self._path, self._end)

    def _recovered(self) -> int:
        """The next number; a segment that a killed process left open is sealed."""
        own = self._segments.segments(self.writer)
        after = self._segments.next_after_retired(self.writer)
        if own:
            found, self.dropped_bytes = recovered(own[-1].path, own[-1].first)
            after = max(after, found)
        return after
