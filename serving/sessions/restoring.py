"""Sessions after a restart, in bounded time: the event log is read from its end backwards."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from types import MappingProxyType
from typing import Any, NamedTuple

from policies.validation import POSITIVE
from serving.contracts.skimming import Opened, Reported, skim
from serving.events.log import Entry, EventLog, EventReader
from serving.sessions.memory import MemorySessions
from serving.sessions.replay import tell
from serving.sessions.restorable import Differs, Meaning
from serving.sessions.snapshot import Snapshot

CHUNK = 10_000  # events that are read at a time; within one they are in order
SHARE = 0.5  # of the time, for reading: telling the store takes about as long
DECISION = b'"type":"decision"'
REMEMBERED = 4_096  # of the last decisions, requests of which may be sent again


class Restored(NamedTuple):
    """What was read back."""

    events: int
    since: float | None  # s, the time of the earliest event; None = there was none
    whole: bool  # nothing younger than what was asked for is left out
    left_out: Differs = Differs()  # in what events mean something else, which are not restored
    users: int = 0  # whom a snapshot knew
    reached: Mapping[str, int] = MappingProxyType({})  # number of each writer's last event in it

    def to_json(self) -> dict[str, Any]:
        """For a status."""
        return self._asdict() | {"reached": dict(self.reached)}


@dataclass(slots=True)
class _Tail:
    """The last events of a writer, so far as they are read."""

    writer: str
    before: int  # number of the earliest event that was read
    chunks: list[list[tuple[int, Opened | Reported]]] = field(default_factory=list)  # latest first
    decisions: list[Entry] = field(default_factory=list)  # the last of them, in order
    reached: float = float("inf")  # s, the time of the earliest one
    known: int = -1  # number of the last event that a snapshot holds
    cut: int = -1  # number of the last event that means something else
    left_out: Differs = field(default_factory=Differs)
    _start: int | None = None  # number of the earliest start
    last: int = field(init=False)  # number of its last event

    def __post_init__(self) -> None:
        self.last = self.before - 1

    @property
    def whole(self) -> bool:
        """All is read that a snapshot does not hold."""
        return self.before <= self.known + 1

    def add(self, entries: list[Entry], meaning: Meaning | None) -> None:
        """Put the events before these into it."""
        if meaning is not None:
            part = meaning.of(entries)
            self.left_out = self.left_out.also(part.some)
            self.cut = part.cut
            if any(part.end):  # it goes on until the next start
                last = self.chunks[0][-1][0] if self.chunks else -1
                self.cut = max(part.cut, last if self._start is None else self._start - 1)
            self._start = self._start if part.start is None else part.start
        found = ((entry.number, skim(entry.event)) for entry in entries)
        chunk = [(number, event) for number, event in found if event is not None]
        if chunk:
            self.chunks.append(chunk)
            self.reached = min(self.reached, chunk[0][1].time)

    def events(self, snapshot: Snapshot | None) -> Iterator[Opened | Reported]:
        """In order, without those that mean something else or that a snapshot holds."""
        every = chain.from_iterable(reversed(self.chunks))
        return (
            event
            for number, event in every
            if number > self.cut
            and (snapshot is None or not snapshot.holds(self.writer, event.user, number))
        )


def restore(
    events: EventLog,
    sessions: MemorySessions | None,
    *,
    responses: int,
    since: float,
    seconds: float,
    meaning: Meaning | None = None,
    recall: Callable[[Opened, bytes], None] | None = None,
    snapshot: Snapshot | None = None,
    timer: Callable[[], float] = time.monotonic,
) -> Restored:
    """Tell an empty store what the event log holds of the time from `since` (s) on, or as much of
    it as about `seconds` allow, the latest. Older events are not read, nor are files of them
    opened; those of all writers reach back equally far.

    sessions: None where a server keeps them; then only `recall` is told, and no more is read than
        that takes.
    responses: R, the policy's response names. meaning: of items and users now; events that mean
        something else, and all before them, are left out. recall: is told the last 4,096 decisions
        and their events. snapshot: what the store knew when it was written, of the same meaning;
        what it holds need not be read.

    Of a session that began before what was read, steps go on; of a history, what was taken before
    is not known, unless a snapshot holds it.

    Raises ContractError for an event that is none, and ValueError for `seconds` that are not above
    0.
    """
    POSITIVE.check("seconds", seconds)
    until = timer() + SHARE * seconds
    known = {} if snapshot is None else snapshot.after()
    tails = [_Tail(w, events.last(w) + 1, known=known.get(w, -1)) for w in events.writers()]
    if sessions is not None and snapshot is not None:
        sessions.put(snapshot.users)
    needed = 0 if recall is None else REMEMBERED
    reading = [tail for tail in tails if tail.before > 0 and not (tail.whole and needed == 0)]
    recalled = 0
    while reading and timer() < until:
        tail = max(reading, key=lambda tail: tail.reached)
        entries = _chunk(events, tail)
        if recalled < REMEMBERED and recall is not None:
            own = [entry for entry in entries if DECISION in entry.event[:40]]
            tail.decisions = own + tail.decisions
            recalled += len(own)
        enough = (sessions is None or tail.whole) and recalled >= needed
        tail.add(entries, meaning)
        if not entries or tail.before == 0 or tail.reached < since or tail.cut >= 0 or enough:
            reading.remove(tail)
    if sessions is not None:
        told = heapq.merge(*(tail.events(snapshot) for tail in tails), key=lambda event: event.time)
        tell(told, sessions, responses)
    if recall is not None:
        _recall((e.event for t in tails for e in t.decisions if e.number > t.cut), recall)
    left_out = Differs()
    for tail in tails:
        left_out = left_out.also(tail.left_out)
        if meaning is not None and tail.before > 0:
            left_out = left_out.also(meaning.at_first(events, tail.writer)._replace(items=False))
    times = [event.time for tail in tails for event in islice(tail.events(snapshot), 1)]
    return Restored(
        sum(1 for tail in tails for _ in tail.events(snapshot)),
        min(times) if times else None,
        whole=all(tail.whole for tail in reading),
        left_out=left_out,
        users=0 if snapshot is None else len(snapshot.users),
        reached={tail.writer: tail.last for tail in tails},
    )


def _chunk(events: EventReader, tail: _Tail) -> list[Entry]:
    """The events before those of a tail, which then begins with them."""
    after = max(tail.before - CHUNK, 0) - 1
    own = events.read(tail.writer, after)
    entries = [*takewhile(lambda entry: entry.number < tail.before, own)]
    tail.before = after + 1
    return entries


def _recall(events: Iterable[bytes], recall: Callable[[Opened, bytes], None]) -> None:
    told = ((skim(event), event) for event in events)
    decisions = [(opened, event) for opened, event in told if isinstance(opened, Opened)]
    for opened, event in sorted(decisions, key=lambda pair: pair[0].time)[-REMEMBERED:]:
        recall(opened, event)
