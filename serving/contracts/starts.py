"""A start: what an engine serves from now on, so that an event log explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import (
    from_json,
    label,
    many,
    maybe,
    number,
    of,
    text,
    to_json,
    whole,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The sizes and names that the decisions after it mean."""

    time: float = of(number)  # s
    policy: str = of(text)  # version
    policy_sha256: str = of(label)
    rules: str = of(text)  # hash of the rules
    n_items: int = of(whole)
    slate_size: int = of(whole)
    history_length: int = of(whole)
    response_names: tuple[str, ...] = of(many(text))
    item_names: tuple[str, ...] | None = of(maybe(many(text)))  # None: too many to be logged
    max_steps: int | None = of(maybe(whole))  # sessions end after so many decisions by design
    keyed_by: str = of(label, "")  # fingerprint of the secret under which users are hashed
    canary: str | None = of(maybe(text), None)  # version that a share of users gets beside `policy`
    canary_sha256: str = of(label, "")
    canary_rules: str = of(label, "")
    weight: float | None = of(maybe(number), None)  # the share
    rollout: str = of(label, "")  # its id
    shadow: str | None = of(maybe(text), None)  # version that is asked and not shown
    shadow_sha256: str = of(label, "")

    @property
    def shown(self) -> dict[str, str]:
        """The versions whose slates users may get, and the sha256 of each."""
        canary = {} if self.canary is None else {self.canary: self.canary_sha256}
        return {self.policy: self.policy_sha256, **canary}

    def to_json(self) -> bytes:
        return to_json(self, "start")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Start:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "start")
