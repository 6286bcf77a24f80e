"""Names that were met not long ago, in little memory."""

from __future__ import annotations

from hashlib import blake2b


class Remembered:
    """Names with a time each, as 8-byte hashes: 10^6 of them share one with a chance of 10^-7.

    seconds: after which a name may be forgotten; least: how many of the last are kept in any case,
        for logs with little traffic.
    """

    def __init__(self, seconds: float, least: int = 10_000) -> None:
        self.seconds, self.least = seconds, least
        self._since: dict[bytes, float] = {}

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._since

    def __len__(self) -> int:
        return len(self._since)

    def add(self, name: str, time: float) -> None:
        """Remember a name of this time, s; times come about in order."""
        self._since[_key(name)] = time

    def forget(self, now: float) -> None:
        """Let go of names that are old."""
        since = self._since
        while len(since) > self.least:
            first = next(iter(since))
            if since[first] > now - self.seconds:
                return
            del since[first]


def _key(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()
