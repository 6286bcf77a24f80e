"""A server that does not answer is not asked again at once: nobody waits for it meanwhile."""

from __future__ import annotations

import time

from policies.validation import FROM_0


class ServerAwayError(ConnectionError):
    """A server failed a moment ago and was not asked again."""


class Pause:
    """After a failure, `seconds` in which `check` raises ServerAwayError; threads need no lock."""

    def __init__(self, seconds: float) -> None:
        FROM_0.check("pause", seconds)
        self.seconds, self._until = seconds, 0.0

    def begin(self) -> None:
        """The server failed now."""
        self._until = time.monotonic() + self.seconds

    def check(self) -> None:
        """Raise ServerAwayError within the pause."""
        if time.monotonic() < self._until:
            raise ServerAwayError(
                f"the server failed less than {self.seconds} s ago; not asked again"
            )
