"""Lines of a segment: an event and its number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from serving.events.log import EventLogError

LINE = re.compile(rb'\{"n":(\d+),"event":(\{.*\})\}\n')
END = b"}\n"  # of a line, after the event


def line_of(number: int, event: bytes) -> bytes:
    """Raises ValueError for what is no JSON object on one line."""
    if b"\n" in event or not (event.startswith(b"{") and event.endswith(b"}")):
        raise ValueError(f"an event is a JSON object on one line, got {event[:80]!r}")
    return b'{"n":%d,"event":%b}\n' % (number, event)


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of a segment; a piece at its end is left out. One that was sealed after its
    folder was listed is found under its new name; of one that was retired there are none."""
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        try:
            opened = path.with_suffix(".jsonl").open("rb")
        except FileNotFoundError:
            return
    with opened as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def numbered(lines: Iterator[bytes], first: int, path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbers and events; EventLogError for a line that is damaged or not the next one."""
    for number, line in enumerate(lines, first):
        head = b'{"n":%d,"event":' % number
        event = line[len(head) : -len(END)]
        if not (line.startswith(head) and line.endswith(END) and event[:1] + event[-1:] == b"{}"):
            raise EventLogError(
                f"{path} is damaged: line {number - first + 1} should hold event {number} and "
                f"holds {line[:60]!r}. Move the file away, or take it from a copy."
            )
        yield number, event
