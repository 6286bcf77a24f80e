"""The events of a log as they come: each once, of all writers, from a known place on."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Protocol

from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.fields import SCHEMA, ContractError
from serving.contracts.outcomes import OutcomeEvent
from serving.contracts.shadows import ShadowEvent
from serving.contracts.skimming import HEAD
from serving.events.log import REMOVED, EventReader

Event = Decision | OutcomeEvent | ShadowEvent
CLOCK = 1.0  # s by which a clock that is kept right may be set back


class Followed(EventReader, Protocol):
    """An event log that says where it ends."""

    def last(self, writer: str) -> int:
        """The number of a writer's last event; -1 where there was none."""


class Follower:
    """Reads on where it stopped. `read` is how far each writer's events were read, which is all
    that another one needs to go on.

    read: numbers of the last events not wanted, of each writer; nothing = from the beginning.
    """

    def __init__(self, events: EventReader, read: Mapping[str, int] | None = None) -> None:
        self.events, self.read = events, dict(read or {})
        self.counts: Counter[str] = Counter()  # missing_events and erased_events as the join counts
        # them, unreadable_events, which are no event of this version, and backward_events, before
        # which their writer's clock was set back
        self._times: dict[str, float] = {}  # s, of each writer's last event
        self.unreadable: str | None = None  # what is wrong with the last of these

    def new(self) -> Iterator[Event]:
        """What came since, of all writers by time as far as each writer's are. Read it to its end,
        or it counts as read only as far as that."""
        streams = [self._of(writer) for writer in self.events.writers()]
        return heapq.merge(*streams, key=lambda event: event.time)

    def _of(self, writer: str) -> Iterator[Event]:
        known = self.read.get(writer)
        for entry in self.events.read(writer, -1 if known is None else known):
            before = self.read.get(writer)
            if before is not None:
                self.counts["missing_events"] += entry.number - before - 1
            self.read[writer] = entry.number
            if entry.event == REMOVED:
                self.counts["erased_events"] += 1
                continue
            try:
                event = read_quickly(entry.event)
            except ContractError as error:
                self.counts["unreadable_events"] += 1
                self.unreadable = f"event {entry.number} of {writer}: {error}"
                continue
            if isinstance(event, Decision | OutcomeEvent | ShadowEvent):
                behind = self._times.get(writer, event.time) - event.time
                self.counts["backward_events"] += behind > CLOCK
                self._times[writer] = event.time
                yield event


def read_quickly(event: bytes) -> object:
    """As `read_event`, in a fifth of the time where msgspec is installed: then types are checked,
    and not how long a text is. Raises ContractError, which names the field."""
    for head, decode in _decoders().items():
        if event.startswith(head):
            try:
                return decode(event)
            except ValueError:  # say more of it
                break
    return read_event(event)


@cache
def _decoders() -> dict[bytes, Callable[[bytes], object]]:
    try:
        from msgspec.json import Decoder
    except ImportError:
        return {}
    kinds: dict[str, Any] = {
        "decision": Decision, "outcome_event": OutcomeEvent, "shadow": ShadowEvent,
    }  # fmt: skip
    return {(HEAD % (SCHEMA, name)).encode(): Decoder(kind).decode for name, kind in kinds.items()}


def ends_of(events: Followed) -> dict[str, int]:
    """Where each writer's events end now."""
    return {writer: events.last(writer) for writer in events.writers()}
