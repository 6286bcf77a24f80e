"""What a step of a rollout asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import check, from_json, many, maybe, number, of, to_json
from serving.contracts.nesting import inner, one_of, sentences
from serving.rollout.state import RolloutState

SHADOW = "shadow"  # ask the version for its distribution beside the live one, serve none of it
WEIGH = "weigh"  # serve it to this share of the users
PROMOTE = "promote"  # make it the live version
ROLLBACK = "rollback"  # serve it to nobody
ALERT = "alert"  # tell a person
KINDS = (SHADOW, WEIGH, PROMOTE, ROLLBACK, ALERT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do. Doing it twice is the same as doing it once; an alert may be told twice.

    Raises ContractError, which names the field.
    """

    kind: str = of(one_of(*KINDS))
    weight: float | None = of(maybe(number), None, "Share of users, of `weigh`.")
    text: str = of(sentences, "", "Of an alert: what is wrong, what to do.")

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "action")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Action:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "action")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The state after a look, what to do (in this order), and why, with the numbers seen."""

    state: RolloutState = of(inner(RolloutState))  # noqa: RUF009
    actions: tuple[Action, ...] = of(many(inner(Action)), ())
    reason: str = of(sentences)

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "rollout_step")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Step:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "rollout_step")
