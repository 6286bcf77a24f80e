"""Event logs that commands name: folders and servers."""

from __future__ import annotations

import os

from serving.events.folder import SegmentFolder
from serving.events.log import Erasable


def reach_events(where: str) -> Erasable:
    """An event log to read and to erase in, which others may write: a folder, or the URL of a
    server. Raises FileNotFoundError where there is no such folder."""
    if "://" not in where:
        return SegmentFolder(where)
    from serving.events.opening import open_events

    return open_events(where, writer=f"command.{os.getpid()}")  # which writes nothing
