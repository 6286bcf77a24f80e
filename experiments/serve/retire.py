"""`longplay retire EVENTS --older-than 30d`: events are kept for so long and no longer."""

from __future__ import annotations

import time
from dataclasses import dataclass

import tyro

from experiments.common.durations import date_of, seconds_of
from experiments.serve.places import reached_events
from serving.privacy.retention import retire


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Remove segments of events of which every one is old; a server may write meanwhile."""

    events: tyro.conf.Positional[str]
    """A folder of events."""
    older_than: str
    """Age of the events that go: 12h, 30d. Not less than the windows of a join that is to come."""


def run(settings: Settings) -> int:
    """Retire, and say what went."""
    before = time.time() - seconds_of("--older-than", settings.older_than)
    with reached_events(settings.events) as events:
        retired = retire(events, before)
    print(
        f"{retired.events:,} events in {retired.segments:,} segments from before {date_of(before)} "
        "removed. A segment goes when all its events are old, and none that is written to"
    )
    return 0
