"""What a server is at the moment, beside what it has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Read whenever the metrics are."""

    policy: str  # its version
    sha256: str = ""
    rules: str = ""  # their hash
    since: float = 0.0  # s, when the policy began to serve
    writer: str = ""  # of the event log
    number: int = -1  # of the event of the last decision
    queue: int = 0  # requests that wait
    swaps: int = 0
    load_failures: int = 0
    unfollowed: bool = False  # the registry's live version is not the one that serves
    memory: float | None = None  # bytes that the process holds; None where that is not known
