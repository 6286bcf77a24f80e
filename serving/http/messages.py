"""What the server answers and asks for beside the contracts of requests and outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.contracts.decisions import Decision
from serving.contracts.fields import check, many, maybe, number, of, text, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """The answer to a request: what of a decision is the caller's to know."""

    decision_id: str = of(text, about="The request's id; outcomes name it.")
    items: tuple[str, ...] = of(many(text), about="In the order in which they are shown.")
    policy: str = of(text, about="Version of the policy that drew them.")
    propensity: float = of(number, about="Probability of these items in this order.")
    position_propensity: tuple[float, ...] = of(
        many(number), about="Of each place, given the places above; their product is propensity."
    )
    step: int = of(whole, about="Of the session, from 0; -1 = not known, and not logged.")
    fallback: str | None = of(maybe(text), about="Why the fallback answered; null: it did not.")
    valid_s: float = of(
        number, 0.0, "Seconds for which it may be shown again as the same decision; 0: not at all."
    )

    @classmethod
    def of_decision(cls, decision: Decision, *, valid_s: float = 0.0) -> Slate:
        """Of a fallback's reason only its kind is said: the rest is for the log. Answers of the
        fallback, and those that are not logged, are not valid for longer than now."""
        kept = decision.fallback is None and decision.step >= 0
        return cls(
            decision_id=decision.decision_id,
            items=decision.items,
            policy=decision.policy,
            propensity=decision.propensity,
            position_propensity=decision.position_propensity,
            step=decision.step,
            fallback=decision.fallback and decision.fallback.partition(":")[0],
            valid_s=valid_s if kept else 0.0,
        )

    def body(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """How an item's name begins. Raises ContractError, which names the field."""

    like: str = of(text, about="How the name begins, whatever the case.")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """Whom to forget. Raises ContractError, which names the field."""

    user: str = of(text, about="The caller's id of the user.")

    def __post_init__(self) -> None:
        check(self)
