"""The server's log, while a simulation serves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(level: int = logging.ERROR) -> Iterator[None]:
    """What the server logs below a level is not shown: it is in the records of the simulation."""
    logger = logging.getLogger("serving")
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
