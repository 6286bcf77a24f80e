"""What the server takes from its callers, and how long it lets them wait."""

from __future__ import annotations

from dataclasses import dataclass

from policies.validation import COUNT, POSITIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Raises ValueError for a limit that is not above 0."""

    body_bytes: int = 262_144
    body_seconds: float = 5.0  # until a body has arrived
    history: int = 1_000  # items of a request
    candidates: int = 1_000  # items of a request
    outcomes: int = 100  # of a call
    user_requests: float = 50.0  # a second, of one user
    users: int = 100_000  # whose requests are counted; of the ones longest unseen no more is known
    deadline_ms: float = 40.0  # from receipt to the answer, where a request gives none
    longest_deadline_ms: float = 10_000.0  # that a request may give
    batch: int = 32  # requests that are decided at once
    waiting: int = 256  # requests that wait, before more are refused; and as many calls of outcomes

    def __post_init__(self) -> None:
        COUNT.check_all(
            self, "body_bytes", "history", "candidates", "outcomes", "users", "batch", "waiting"
        )
        POSITIVE.check_all(
            self, "body_seconds", "user_requests", "deadline_ms", "longest_deadline_ms"
        )
