"""A shadow's event: what a version that shows nothing would have done with a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.contracts.fields import from_json, label, maybe, number, of, text, to_json, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowEvent:
    """For judging the shadow before anybody sees it: nothing was drawn, and no policy learns from
    it. What could not be computed is null."""

    decision_id: str = of(text)  # of the decision that was shown
    time: float = of(number)  # s, when the shadow was asked
    user: str = of(text)  # keyed hash
    policy: str = of(text)  # the shadow's version
    policy_sha256: str = of(label)
    live_policy: str = of(text)  # the version that was shown
    live_propensity: float = of(number)  # of the slate that was shown, by which it was drawn
    propensity: float | None = of(maybe(number))  # of the same slate under the shadow
    total_variation: float | None = of(maybe(number))  # of both distributions of the first place
    worked_ms: float = of(number)  # of the shadow, for all that it did in one go
    together: int = of(whole)  # decisions that it did in one go
    error: str | None = of(maybe(text))  # why there is nothing

    def to_json(self) -> bytes:
        return to_json(self, "shadow")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> ShadowEvent:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "shadow")
