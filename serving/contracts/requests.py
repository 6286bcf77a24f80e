"""A request: who wants a slate, in the caller's own ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import check, from_json, many, maybe, number, of, text, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Ids are strings of the caller. Raises ContractError, which names the field.

    A request that is sent again keeps its request_id: it is then decided as before. User and
    session are logged as keyed hashes, and the request_id as it is: it must not name anybody.
    """

    request_id: str = of(text)  # unique; becomes the decision's id
    user: str = of(text)
    session: str = of(text)
    candidates: tuple[str, ...] | None = of(maybe(many(text)), None)  # None: retrieved
    context: tuple[float, ...] | None = of(maybe(many(number)), None)  # the policy's user vector
    history: tuple[str, ...] | None = of(maybe(many(text)), None)  # oldest first; taken before the
    # session store knew of the user, and not looked at once it does

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "request")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Request:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "request")
