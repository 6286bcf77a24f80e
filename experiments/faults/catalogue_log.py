"""F5: an event log that drops, stalls, dies, or fills the disk."""

from __future__ import annotations

import errno

from experiments.faults.service.fault import Fault
from experiments.faults.service.parts import DEADLINE_MS, Parts
from serving.events.log import EventLogError

DROPPED = 0.05  # of acknowledged events
STALLS_MS = 400.0  # that an append takes


def _drops(parts: Parts) -> None:
    parts.log.keep = lambda event: parts.rng.random() >= DROPPED


def _stalls(parts: Parts) -> None:
    """Every batch holds the engine for as long as the log takes: who comes meanwhile waits."""
    parts.waits = lambda n: (STALLS_MS * parts.rng.random(n)).tolist()


def _dies(parts: Parts) -> None:
    def keep(event: bytes) -> bool:
        raise EventLogError("the log's server does not answer")

    parts.log.keep = keep


def _fills(parts: Parts) -> None:
    """Short events still fit, now and then."""

    def keep(event: bytes) -> bool:
        if len(event) > 600:
            raise EventLogError(errno.ENOSPC, "no space left on device")
        return True

    parts.log.keep = keep


LOG = (
    Fault(
        name="log-drops",
        title="F5 a log that drops",
        stands_for=f"{DROPPED:.0%} of the events that were acknowledged are not in the log",
        inject=_drops,
        seen_by=("LongplayLogIncomplete",),
    ),
    Fault(
        name="log-stalls",
        title="F5 a log that stalls",
        stands_for=f"an append takes up to {STALLS_MS:.0f} ms; the deadline is {DEADLINE_MS:.0f}",
        inject=_stalls,
        seen_by=("LongplayWithin50ms", "LongplayFallback", "LongplayLatencyP95"),
    ),
    Fault(
        name="log-dies",
        title="F5 a log that dies",
        stands_for="no event is kept any more",
        inject=_dies,
        seen_by=("LongplayLogged", "engine: event log failed"),
    ),
    Fault(
        name="log-fills",
        title="F5 a full disk",
        stands_for="events of decisions fit no more, short ones of outcomes do",
        inject=_fills,
        seen_by=("LongplayLogged", "engine: event log failed"),
    ),
)
