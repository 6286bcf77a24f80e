"""Event logs that commands name: folders and servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from serving.events.folder import SegmentFolder
from serving.events.log import Erasable


@contextmanager
def reached_events(where: str) -> Iterator[Erasable]:
    """An event log to read and to erase in, which others may write: a folder, or the URL of a
    server. Raises FileNotFoundError where there is no such folder."""
    if "://" not in where:
        yield SegmentFolder(where)
        return
    from serving.events.opening import open_events

    with closing(open_events(where, writer=f"command.{os.getpid()}")) as events:
        yield events  # to which this process writes nothing
