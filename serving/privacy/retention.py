"""Retention: events are kept for so long and no longer."""

from __future__ import annotations

from serving.events.folder import Retired, SegmentFolder
from serving.events.log import Erasable
from serving.events.segments import SegmentLog


def retire(events: Erasable, before: float) -> Retired:
    """Remove whole segments of which every event is from before `before`, s.

    Raises ValueError for a log that is not of segments: a server of events keeps them by its own
    settings.
    """
    if not isinstance(events, SegmentLog | SegmentFolder):
        raise ValueError(
            f"{type(events).__name__} has no segments: set how long events are kept in its server "
            "(max_age of a NATS stream; XTRIM MINID of a Redis stream)"
        )
    return events.retire(before)
