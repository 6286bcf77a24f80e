"""One call at a time: an environment is no place where two threads can meet."""

from __future__ import annotations

import threading
from typing import Any


class Alone:
    """Entered by one call at a time.

    Raises RuntimeError for a second one, from another thread or from inside the first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "this environment is in the middle of another call: it serves one thread at a "
                "time. Give each thread an environment of its own: copy.deepcopy(env)"
            )

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return Alone, ()  # a copy is free
