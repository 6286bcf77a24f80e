"""Lines of a segment: an event and its number."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from serving.events.log import EventLogError

LINE = re.compile(rb'\{"n":(\d+),"event":(\{.*?\})(?:,"crc":"[0-9a-f]{8}")?\}\n')
SEALED = ".jsonl"  # ends the name of a segment that nobody writes to
END = b"}\n"  # of a line, after the event
CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n\Z')  # the end of a line that has a checksum
WIDTH = len(b',"crc":"00000000"}\n')


def line_of(number: int, event: bytes) -> bytes:
    """With a CRC-32 of all that stands before it. Raises ValueError for what is no JSON object on
    one line."""
    if b"\n" in event or not (event.startswith(b"{") and event.endswith(b"}")):
        raise ValueError(f"an event is a JSON object on one line, got {event[:80]!r}")
    said = b'{"n":%d,"event":%b' % (number, event)
    return b'%b,"crc":"%08x"}\n' % (said, zlib.crc32(said))


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of a segment; a piece at its end is left out. One that was sealed after its
    folder was listed is found under its new name; of one that was retired there are none.

    Raises EventLogError for a sealed segment that ends in a piece of a line.
    """
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        try:
            opened = path.with_suffix(SEALED).open("rb")
        except FileNotFoundError:
            return
    with opened as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
            elif opened.name.endswith(SEALED):
                raise EventLogError(
                    f"{opened.name} is damaged: its last line is cut. Move the file away, or take "
                    "it from a copy."
                )


def numbered(lines: Iterator[bytes], first: int, path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbers and events; EventLogError for a line that is damaged or not the next one."""
    for number, line in enumerate(lines, first):
        head = b'{"n":%d,"event":' % number
        event, whole = line[len(head) : -len(END)], line.endswith(END)
        if (crc := CRC.search(line, max(0, len(line) - WIDTH))) is not None:
            event = line[len(head) : crc.start()]
            whole = zlib.crc32(memoryview(line)[: crc.start()]) == int(crc[1], 16)
        if not (whole and line.startswith(head) and event[:1] + event[-1:] == b"{}"):
            raise EventLogError(
                f"{path} is damaged: line {number - first + 1} should hold event {number} and "
                f"holds {line[:60]!r}. Move the file away, or take it from a copy."
            )
        yield number, event
