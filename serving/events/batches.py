"""Several events at a time: one round trip to a server instead of one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from serving.events.log import EventLog


@runtime_checkable
class BatchLog(Protocol):
    """An event log that keeps several events in one go."""

    def append_many(self, events: Sequence[bytes]) -> list[int]:
        """Keep events in their order, all of them, and return their numbers. Raises EventLogError
        where it could not: then none is kept."""


def append_each(log: EventLog, events: Sequence[bytes]) -> list[int | Exception]:
    """For each event its number, or why it is not in the log: in one go where the log can do that,
    else one by one."""
    if isinstance(log, BatchLog):
        try:
            return [*log.append_many(events)]
        except Exception as error:  # noqa: BLE001  (the caller says what follows, for each event)
            return [error] * len(events)
    return [_appended(log, event) for event in events]


def _appended(log: EventLog, event: bytes) -> int | Exception:
    try:
        return log.append(event)
    except Exception as error:  # noqa: BLE001
        return error
