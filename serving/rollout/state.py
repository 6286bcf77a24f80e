"""Where a rollout is: what must be kept between two looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    label,
    maybe,
    number,
    of,
    text,
    to_json,
    whole,
)
from serving.contracts.nesting import count, one_of, sentences
from serving.rollout.rule import RolloutRule

Phase = Literal["shadow", "canary", "held", "paused", "done", "rolled_back"]
PHASES: tuple[Phase, ...] = ("shadow", "canary", "held", "paused", "done", "rolled_back")
FINAL: tuple[Phase, ...] = ("done", "rolled_back")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutState:
    """Of one version on its way to all users. Raises ContractError.

    held: it stays at its share until a person says `resume`, because a person said `hold` or the
    planned exposure is spent. paused: it stays there while the event log is silent, and goes on by
    itself. In both, what must stop it still does. `done` and `rolled_back` are final.
    """

    rollout: str = of(text, about="Id of the rollout.")
    version: str = of(text, about="Of the policy that is rolled out.")
    sha256: str = of(label, "")
    phase: Phase = of(one_of(*PHASES))  # noqa: RUF009
    stage: int = of(whole, -1, "Place in the rule's stages; -1 before the first.")
    weight: float = of(number, 0.0, "Share of users that it should serve now.")
    since: float = of(number, about="Time (s) at which the stage began.")
    looked: float | None = of(maybe(number), None, "Time (s) of the last window.")
    before: Phase | Literal[""] = of(one_of("", *PHASES), "")  # noqa: RUF009  (what a pause stops)
    extensions: int = of(count, 0, "How often a person gave this stage its exposure once more.")
    resumed: float | None = of(maybe(number), None, "Time (s) of the last of them.")
    reason: str = of(sentences, "", "Why it is where it is.")

    def __post_init__(self) -> None:
        check(self)
        if self.stage < -1:
            raise ContractError(f"stage is {self.stage}; it is -1 or more", field="stage")
        if not 0 <= self.weight <= 1:
            raise ContractError(f"weight is {self.weight:g}; it must be in [0, 1]", field="weight")

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self.phase in FINAL

    def to_json(self) -> bytes:
        return to_json(self, "rollout_state")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> RolloutState:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "rollout_state")


def check_state(state: RolloutState, rule: RolloutRule) -> None:
    """Raise ContractError for a state that no rollout under the rule is ever in."""
    if state.final:
        return
    last = len(rule.stages) - 2  # before all users
    if state.stage > last:
        raise ContractError(
            f"stage is {state.stage}, and {last} is the last one of the rule's before all users",
            field="stage",
        )
    weight = 0.0 if state.stage < 0 else rule.stages[state.stage]
    if state.weight != weight:
        raise ContractError(
            f"weight is {state.weight:g}; it is {weight:g} in stage {state.stage}", field="weight"
        )
    if (state.phase == "shadow" and state.stage >= 0) or (
        state.phase in ("canary", "paused") and state.stage < 0
    ):
        raise ContractError(f"phase is {state.phase} in stage {state.stage}", field="phase")
