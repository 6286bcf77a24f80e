"""The protocol of event logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

REMOVED = b'{"type":"removed"}'  # stands where an event was that had to go


class EventLogError(OSError):
    """An event could not be kept: nothing of it is in the log."""


class Entry(NamedTuple):
    """An event as it is read back."""

    writer: str
    number: int  # of the writer's events, from 0 without a gap
    event: bytes


class EventReader(Protocol):
    """What reading an event log takes."""

    def writers(self) -> list[str]:
        """Everybody who wrote to the log, by name."""

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        """A writer's events with numbers above `after`, in order."""


class Erasable(EventReader, Protocol):
    """An event log whose events can be taken out."""

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        """Replace the events of all writers that match by REMOVED, or remove them: for good, each
        file or message at once, and again without harm. Returns how many. `matches` is called once
        for each event that is there and not REMOVED yet.

        All other events keep their numbers, and new ones go on after the last one given. What
        another process writes to at this moment may be left: read the log again to see."""


class EventLog(Erasable, Protocol):
    """Events are bytes of UTF-8 JSON without line ends. A writer's name belongs to one process."""

    @property
    def writer(self) -> str:
        """In whose name `append` writes."""

    def append(self, event: bytes) -> int:
        """Keep an event and return its number. Numbers go on where the writer stopped, also after
        a restart. Raises EventLogError where it was not kept."""

    def last(self, writer: str) -> int:
        """The number of a writer's last event, whether it is there or gone; -1 where there was
        none. Quick."""

    def flush(self) -> None:
        """Return once what was appended outlives the machine, as far as the log can promise it."""

    def close(self) -> None:
        """Flush, and write no more."""
