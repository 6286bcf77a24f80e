"""Which events of a log still mean the same: those of this catalogue, and of this secret."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from serving.contracts.events import read_event
from serving.contracts.starts import Start
from serving.events.log import Entry, EventReader
from serving.events.reading import START

SHOWN = re.compile(rb'"slate":(\[[^]]*\]),"items":(\[.*?\]),"propensity":')
FIRST, EVERY = 8, 16  # decisions after a start, and events, whose items are looked at


class Differs(NamedTuple):
    """In what events mean something else."""

    items: bool = False  # of other items or responses, or in another order
    secret: bool = False  # users are named by another secret

    def also(self, other: Differs) -> Differs:
        """Both together."""
        return Differs(self.items or other.items, self.secret or other.secret)


class Part(NamedTuple):
    """What a run of a writer's events says, read without what stood before it."""

    start: int | None  # number of its first start; what stood before governs the events up to it
    cut: int  # number of the last event that means something else; -1 = none
    some: Differs  # of any of its events
    end: Differs  # of its last event


@dataclass(frozen=True, slots=True)
class Meaning:
    """Item i is names[i], and users have the keys that they have now. Histories in numbers of
    another catalogue would be other histories, and nothing would show it: the log says what was
    seen."""

    names: Sequence[str]
    response_names: Sequence[str]
    keyed_by: str  # the secret's fingerprint

    def fingerprint(self) -> str:
        """A hash of all of it."""
        told = json.dumps([[*self.names], [*self.response_names], self.keyed_by])
        return blake2b(told.encode(), digest_size=16).hexdigest()

    def of(self, entries: Sequence[Entry]) -> Part:
        """What a start does not say is taken from the decisions after it, which hold both names and
        numbers: the first few and every sixteenth event. One of others counts until the next
        start."""
        first, cut, some, now, looks = None, -1, Differs(), Differs(), FIRST
        for entry in entries:
            if (start := _start(entry.event)) is not None:
                first = entry.number if first is None else first
                now, looks = self._of_start(start), FIRST
            if (looks or entry.number % EVERY == 0) and not now.items:
                match = SHOWN.search(entry.event, 0, 8_192)
                looks -= match is not None and looks > 0
                if match is not None and self._others(match):
                    now = now._replace(items=True)
            if now.items or now.secret:
                cut, some = entry.number, some.also(now)
        return Part(first, cut, some, now)

    def at_first(self, events: EventReader, writer: str) -> Differs:
        """What a writer's very first event says, which is mostly a start."""
        first = next(iter(events.read(writer)), None)
        start = None if first is None else _start(first.event)
        return Differs() if start is None else self._of_start(start)

    def _of_start(self, start: Start) -> Differs:
        items = start.item_names not in (None, tuple(self.names))
        items = items or start.n_items != len(self.names)
        items = items or start.response_names != tuple(self.response_names)
        return Differs(items, start.keyed_by not in ("", self.keyed_by))

    def _others(self, match: re.Match[bytes]) -> bool:
        """Whether a decision calls an item otherwise."""
        numbers = [number for number in json.loads(match[1]) if number >= 0]
        told: list[str] = json.loads(match[2])
        return [self.names[n] for n in numbers if n < len(self.names)] != told


def _start(event: bytes) -> Start | None:
    if START not in event[:64]:
        return None
    found = read_event(event)
    return found if isinstance(found, Start) else None
