"""What logs on servers have in common: holes between events, and what they say when they fail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from serving.events.log import REMOVED, Entry

WRITER = re.compile(r"[A-Za-z0-9_.]{1,64}")
BATCH = 256  # events that are read in one round trip


class Kept(NamedTuple):
    """An event as a server holds it."""

    number: int
    lost: int  # of the events before it, those that the server lost
    event: bytes


def entries(writer: str, kept: Iterable[Kept]) -> Iterator[Entry]:
    """Events by their numbers. One that was taken out on purpose, between two that are there, is
    REMOVED; numbers that the server lost are missing."""
    before: Kept | None = None
    for one in kept:
        if before is not None:
            removed = (one.number - before.number - 1) - (one.lost - before.lost)
            for nth in range(removed):
                yield Entry(writer, before.number + 1 + nth, REMOVED)
        yield Entry(writer, one.number, one.event)
        before = one


def check_writer(writer: str) -> None:
    """Raise ValueError for a name that is none."""
    if not WRITER.fullmatch(writer):
        raise ValueError(f"writer {writer!r}: use letters, digits, dots and underscores")


def in_use(writer: str, where: object) -> str:
    """For an error: a writer's name belongs to one process."""
    return (
        f"another process writes to {where} as {writer!r}, or a log of this one that was not "
        "closed: give each its own name, or close the other first"
    )
