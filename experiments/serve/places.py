"""Event logs that commands name: folders and servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from serving.events.folder import SegmentFolder
from serving.events.log import Erasable
from serving.following.follower import Followed


class Reached(Erasable, Followed, Protocol):
    """What a log that is reached can do."""


@contextmanager
def reached_events(where: str) -> Iterator[Reached]:
    """An event log to read and to erase in, which others may write: a folder, or the URL of a
    server. Raises FileNotFoundError where there is no such folder."""
    if "://" not in where:
        yield SegmentFolder(where)
        return
    from serving.events.opening import open_events

    with closing(open_events(where, writer=f"command.{os.getpid()}")) as events:
        yield events  # to which this process writes nothing


@contextmanager
def followed_events(registry: Path, where: str | None) -> Iterator[Reached]:
    """The event log of the servers of a registry: by default the folder `events` in it, where
    `longplay serve` keeps it. Raises FileNotFoundError where there is none."""
    with reached_events(where or str(registry / "events")) as events:
        yield events
