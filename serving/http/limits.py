"""What the server takes from its callers, and how long it lets them wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.validation import COUNT, FROM_0, POSITIVE
from serving.contracts.fields import ContractError
from serving.contracts.requests import Request
from serving.http.errors import broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken from callers; more is refused, and the answer says the limit.

    Raises ValueError for a limit that is not above 0.
    """

    body_bytes: int = 262_144
    """Bytes of a body."""
    body_seconds: float = 5.0
    """Seconds until a body has arrived."""
    history: int = 1_000
    """Items of a history that a request gives."""
    candidates: int = 1_000
    """Candidates that a request gives; the policy's own limit may be lower."""
    outcomes: int = 100
    """Outcomes of one call."""
    user_requests: float = 50.0
    """Calls a second of one user, on average over a second."""
    users: int = 100_000
    """Users whose calls are counted: those seen last."""
    deadline_ms: float = 25.0
    """From receipt to the answer where a request gives none; what would be later is answered by
    the fallback, which is quicker."""
    longest_deadline_ms: float = 10_000.0
    """The longest deadline that a request may give."""
    batch: int = 32
    """Requests that are decided at once, where the policy is expected to answer as many in half of
    a deadline; 8 always are."""
    waiting: int = 128
    """Requests that may wait, and as many calls of outcomes; more are refused with 429. So are
    requests whose answers would take longer than one and a half deadlines."""
    valid_s: float = 0.0
    """Seconds for which a cache near the user may show an answer again (valid_s of the answer);
    0: never. Users whose answers are cached see a rollback so much later."""

    def __post_init__(self) -> None:
        COUNT.check_all(
            self, "body_bytes", "history", "candidates", "outcomes", "users", "batch", "waiting"
        )
        FROM_0.check("valid_s", self.valid_s)
        POSITIVE.check_all(
            self, "body_seconds", "user_requests", "deadline_ms", "longest_deadline_ms"
        )

    def check_request(self, request: Request) -> None:
        """Raise HttpError 422 for a request that exceeds a limit."""
        self.check_length("history", request.history)
        self.check_length("candidates", request.candidates)
        if request.deadline_ms is not None and request.deadline_ms > self.longest_deadline_ms:
            most = self.longest_deadline_ms
            said = f"deadline_ms is {request.deadline_ms:g}; this server waits {most:g} at most"
            raise broken(ContractError(said, field="deadline_ms", limit=most))

    def check_length(self, field: str, items: Sequence[object] | None) -> None:
        """The same for a list that `field` of the limits bounds."""
        most: int = getattr(self, field)
        if items is not None and len(items) > most:
            said = f"{field} has {len(items)} items; this server takes {most} at most"
            raise broken(ContractError(said, field=field, limit=most))
