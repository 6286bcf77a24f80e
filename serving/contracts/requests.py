"""A request: who wants a slate, in the caller's own ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import (
    check,
    from_json,
    many,
    maybe,
    number,
    of,
    positive,
    text,
    to_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Ids are strings of the caller. Raises ContractError, which names the field.

    A request that is sent again keeps its request_id: it is then decided as before. User and
    session are logged as keyed hashes, and the request_id as it is: it must not name anybody.
    """

    request_id: str = of(text, about="Unique. It becomes the id of the decision.")
    user: str = of(text, about="The caller's id of the user.")
    session: str = of(text, about="The caller's id of the session, one of this user's.")
    candidates: tuple[str, ...] | None = of(
        maybe(many(text)), None, "Items that may be shown; without them, they are retrieved."
    )
    context: tuple[float, ...] | None = of(
        maybe(many(number)), None, "The policy's user vector, where it reads one."
    )
    history: tuple[str, ...] | None = of(
        maybe(many(text)),
        None,
        "Items taken before the server knew of the user, oldest first; not read once it does.",
    )
    deadline_ms: float | None = of(
        maybe(positive), None, "From receipt to the answer; what is late is the fallback's."
    )

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "request")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Request:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "request")
