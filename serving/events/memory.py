"""Events in memory: for tests and notebooks. They end with the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from serving.events.log import REMOVED, Entry, EventLogError


class MemoryLog:
    """An event log of one writer."""

    def __init__(self, writer: str = "memory") -> None:
        self.writer, self.events, self.closed = writer, list[bytes](), False

    def append(self, event: bytes) -> int:
        if self.closed:
            raise EventLogError("the log is closed")
        self.events.append(event)
        return len(self.events) - 1

    def writers(self) -> list[str]:
        return [self.writer] if self.events else []

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        events = self.events if writer == self.writer else []
        for number in range(after + 1, len(events)):
            yield Entry(writer, number, events[number])

    def last(self, writer: str) -> int:
        return len(self.events) - 1 if writer == self.writer else -1

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        gone = [n for n, event in enumerate(self.events) if event != REMOVED and matches(event)]
        for number in gone:
            self.events[number] = REMOVED
        return len(gone)

    def flush(self) -> None:
        """Memory has nothing to flush."""

    def close(self) -> None:
        self.closed = True
