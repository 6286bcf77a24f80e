"""The events of a log, read back and put in the order of their times."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import OutcomeEvent
from serving.events.log import EventLog


def in_order(
    events: EventLog, after: Mapping[str, int] | None = None
) -> Iterator[Decision | OutcomeEvent]:
    """The events of all writers by time, as far as each writer's are; of a writer that `after`
    names, those with numbers above."""
    streams = [
        (read_event(entry.event) for entry in events.read(writer, (after or {}).get(writer, -1)))
        for writer in events.writers()
    ]
    return heapq.merge(*streams, key=lambda event: event.time)
