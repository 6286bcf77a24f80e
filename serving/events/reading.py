"""The events of a log, read back and put in the order of their times."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping

from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import OutcomeEvent
from serving.contracts.starts import Start
from serving.events.log import REMOVED, Entry, EventReader

START = b'"type":"start"'  # near the beginning of such an event


def in_order(
    events: EventReader,
    after: Mapping[str, int] | None = None,
    counts: Counter[str] | None = None,
) -> Iterator[Decision | OutcomeEvent]:
    """The decisions and outcomes of all writers by time, as far as each writer's are; of a writer
    that `after` names, those with numbers above. Counts missing_events, numbers between two that
    are there, and erased_events, of which the number is left."""
    streams = [
        _events(events.read(writer, (after or {}).get(writer, -1)), counts)
        for writer in events.writers()
    ]
    return heapq.merge(*streams, key=lambda event: event.time)


def starts_of(events: EventReader) -> list[Start]:
    """What was served when, of all writers, by time."""
    starts = [
        event
        for writer in events.writers()
        for entry in events.read(writer)
        if START in entry.event[:64] and isinstance(event := read_event(entry.event), Start)
    ]
    return sorted(starts, key=lambda start: start.time)


def _events(
    entries: Iterator[Entry], counts: Counter[str] | None
) -> Iterator[Decision | OutcomeEvent]:
    last = None
    for entry in entries:
        if counts is not None and last is not None:
            counts["missing_events"] += entry.number - last - 1
        last = entry.number
        if entry.event == REMOVED:
            if counts is not None:
                counts["erased_events"] += 1
            continue
        event = read_event(entry.event)
        if isinstance(event, Decision | OutcomeEvent):
            yield event
