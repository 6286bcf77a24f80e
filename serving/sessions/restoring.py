"""Sessions after a restart, in bounded time: the event log is read from its end backwards."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from policies.validation import POSITIVE
from serving.contracts.decisions import Decision
from serving.contracts.skimming import Opened, Reported, skim
from serving.events.log import EventLog, EventReader
from serving.sessions.replay import tell
from serving.sessions.store import SessionStore

CHUNK = 10_000  # events that are read at a time; within one they are in order
SHARE = 0.5  # of the time, for reading: telling the store takes about as long
REMEMBERED = 4_096  # of the last decisions, requests of which may be sent again


class Restored(NamedTuple):
    """What was read back."""

    events: int
    since: float | None  # s, the time of the earliest event; None = there was none
    whole: bool  # nothing younger than what was asked for is left out


@dataclass(slots=True)
class _Tail:
    """The last events of a writer, so far as they are read."""

    writer: str
    before: int  # number of the earliest event that was read
    chunks: list[list[Opened | Reported]] = field(default_factory=list)  # the latest first
    reached: float = float("inf")  # s, the time of the earliest one

    def events(self) -> Iterator[Opened | Reported]:
        return chain.from_iterable(reversed(self.chunks))


def restore(
    events: EventLog,
    sessions: SessionStore,
    *,
    responses: int,
    since: float,
    seconds: float,
    recall: Callable[[Decision], None] | None = None,
    timer: Callable[[], float] = time.monotonic,
) -> Restored:
    """Tell an empty store what the event log holds of the time from `since` (s) on, or as much of
    it as about `seconds` allow, the latest. Older events are not read, nor are files of them
    opened; those of all writers reach back equally far.

    responses: R, the policy's response names. recall: is told the last 4,096 decisions, as
        `replay` tells it all.

    Of a session that began before what was read, steps go on; of a history, what was taken before
    is not known. Raises ContractError for an event that is none, and ValueError for `seconds` that
    are not above 0.
    """
    POSITIVE.check("seconds", seconds)
    until = timer() + SHARE * seconds
    tails = [_Tail(writer, events.last(writer) + 1) for writer in events.writers()]
    reading = [tail for tail in tails if tail.before > 0]
    recent: list[bytes] = []
    while reading and timer() < until:
        tail = max(reading, key=lambda tail: tail.reached)
        raw = _chunk(events, tail)
        if len(recent) < REMEMBERED and recall is not None:
            recent = [event for event in raw if b'"type":"decision"' in event[:40]] + recent
        if not raw or tail.before == 0 or tail.reached < since:
            reading.remove(tail)
    told = heapq.merge(*(tail.events() for tail in tails), key=lambda event: event.time)
    tell(told, sessions, responses)
    if recall is not None:
        _recall(recent, recall)
    times = [tail.reached for tail in tails if tail.chunks]
    n = sum(len(chunk) for tail in tails for chunk in tail.chunks)
    return Restored(n, min(times) if n else None, whole=not reading)


def _chunk(events: EventReader, tail: _Tail) -> list[bytes]:
    """Put the events before those of a tail into it, and return them."""
    after = max(tail.before - CHUNK, 0) - 1
    raw = []
    for entry in events.read(tail.writer, after):
        if entry.number >= tail.before:
            break
        raw.append(entry.event)
    tail.before = after + 1
    found = [event for event in map(skim, raw) if event is not None]
    if found:
        tail.chunks.append(found)
        tail.reached = min(tail.reached, found[0].time)
    return raw


def _recall(events: Iterable[bytes], recall: Callable[[Decision], None]) -> None:
    decisions = sorted(map(Decision.from_json, events), key=lambda decision: decision.time)
    for decision in decisions[-REMEMBERED:]:
        recall(decision)
