"""An event log in memory that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from serving import MemoryLog
from serving.events.log import Entry

Keep = Callable[[bytes], bool]


class FaultyLog(MemoryLog):
    """Keeps all events until `keep` is replaced: it says whether an event that is acknowledged is
    kept, or raises what an append raises. Numbers go on in any case, as a log's do that loses
    what it acknowledged."""

    def __init__(self, writer: str = "memory") -> None:
        super().__init__(writer)
        self.keep: Keep = lambda event: True
        self.gone = set[int]()

    def append(self, event: bytes) -> int:
        kept = self.keep(event)
        number = super().append(event)
        if not kept:
            self.gone.add(number)
        return number

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        return (one for one in super().read(writer, after) if one.number not in self.gone)
