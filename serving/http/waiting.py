"""The queue: what was read waits here, and is taken together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from policies.validation import COUNT


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits since it was `received`, s."""

    call: Any
    done: asyncio.Future[Any]
    received: float


class Queue:
    """Two lines with a bound each, for any number of threads: requests, and outcomes."""

    def __init__(self, most: int) -> None:
        COUNT.check("most", most)
        self.most = most
        self._some = threading.Condition()
        self._requests, self._outcomes = deque[Waiter](), deque[Waiter]()
        self.closed = False

    def __len__(self) -> int:
        return len(self._requests) + len(self._outcomes)

    @property
    def requests(self) -> int:
        """How many wait."""
        return len(self._requests)

    def put(self, waiter: Waiter, *, outcomes: bool = False) -> bool:
        """False where the line is full or closed: then it does not wait."""
        with self._some:
            line = self._outcomes if outcomes else self._requests
            if self.closed or len(line) >= self.most:
                return False
            line.append(waiter)
            self._some.notify()
            return True

    def take(self, most: int, outcomes: int) -> tuple[list[Waiter], list[Waiter]] | None:
        """What waits, up to `most` requests and `outcomes` calls of the other line, the longest
        first; waits for the first. None when the queue is closed and empty."""
        with self._some:
            while not self._requests and not self._outcomes:
                if self.closed:
                    return None
                self._some.wait()
            return _first(self._requests, most), _first(self._outcomes, outcomes)

    def close(self) -> None:
        """Let nothing more in; what waits is still taken."""
        with self._some:
            self.closed = True
            self._some.notify_all()


def _first(line: deque[Waiter], most: int) -> list[Waiter]:
    return [line.popleft() for _ in range(min(most, len(line)))]
