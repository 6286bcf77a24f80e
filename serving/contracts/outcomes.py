"""An outcome: what came of a decision, as a caller reports it and as the event log keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import (
    check,
    from_json,
    many,
    maybe,
    named,
    number,
    of,
    text,
    to_json,
    whole,
)

TAKEN = "taken"  # the user took an item: it enters the history
TERMINATED = "terminated"  # the user left
TRUNCATED = "truncated"  # we stopped looking
SHOWN = "shown"  # the slate was shown once more, by a cache: no decision, and never a reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`taken`, `terminated`, `truncated` and `shown` mean the same everywhere; other kinds are the
    caller's own, and count in rewards. Raises ContractError, which names the field.

    It may be sent several times and before its decision is known, with the same outcome_id.
    """

    outcome_id: str = of(text, about="Unique; what is sent again counts once.")
    decision_id: str = of(text, about="Of the decision that it came of.")
    user: str = of(text, about="The user of that decision.")
    kind: str = of(
        text, about="taken, terminated, truncated, shown (again), or a word of your own."
    )
    item: str | None = of(
        maybe(text), None, "An item of the slate; without it, of the whole slate."
    )
    value: float = of(number, 1.0, "What it is worth; rewards are made of it.")
    responses: Mapping[str, float] | None = of(
        maybe(named(number)), None, "Of an item taken, everything that the policy reads, by name."
    )
    client_time: float | None = of(maybe(number), None, "Seconds, by the caller's clock.")

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "outcome")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Outcome:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeEvent:
    """An outcome in the event log: numbers of the catalogue, a keyed hash for the user."""

    outcome_id: str = of(text)
    decision_id: str = of(text)
    user: str = of(text)  # keyed hash
    kind: str = of(text)
    item: int | None = of(maybe(whole))
    value: float = of(number)
    responses: tuple[float, ...] = of(many(number))  # in the order of the policy's response names
    client_time: float | None = of(maybe(number))
    time: float = of(number)  # s, of the server

    def to_json(self) -> bytes:
        return to_json(self, "outcome_event")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> OutcomeEvent:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "outcome_event")
