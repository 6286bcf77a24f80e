"""Everything that one look at a rollout sees. What is not known is null, and never good news."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.contracts.fields import (
    check,
    from_json,
    maybe,
    named,
    number,
    of,
    to_json,
)
from serving.contracts.nesting import count, from_0, inner


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of a session of one arm by itself, with an interval for this look alone."""

    value: float | None = of(maybe(number), None)
    low: float | None = of(maybe(number), None, "Null where it is not bounded.")
    high: float | None = of(maybe(number), None, "Null where it is not bounded.")
    users: int | None = of(maybe(count), None, "Behind it.")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSeen:
    """One arm in the present stage."""

    users: int | None = of(maybe(count), None, "That were served in this stage.")
    decisions: int | None = of(maybe(count), None, "In this stage.")
    silent_seconds: float | None = of(
        maybe(from_0), None, "Since its last event, or since the stage began."
    )
    mean: Mean = of(inner(Mean), Mean(), "Of the rule's metric, in the recent part.")  # noqa: RUF009

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Canary minus control in one metric, with anytime-valid bounds of the given level."""

    value: float | None = of(maybe(number), None)
    low: float | None = of(maybe(number), None, "Null where it is not bounded.")
    high: float | None = of(maybe(number), None, "Null where it is not bounded.")
    se: float | None = of(maybe(number), None)
    canary: float | None = of(maybe(number), None, "Mean.")
    control: float | None = of(maybe(number), None, "Mean.")
    users: int | None = of(maybe(count), None, "Behind it, in both arms.")
    level: float | None = of(maybe(number), None, "Of the two bounds together.")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Counts behind the hard stops, of the canary (or the shadow) since the last few looks."""

    decisions: int | None = of(maybe(count), None)
    errors: int | None = of(maybe(count), None)
    fallbacks: int | None = of(maybe(count), None)
    slow: int | None = of(maybe(count), None, "Decisions that took longer than the rule's p99_ms.")
    p99_ms: float | None = of(maybe(number), None, "For people; `slow` is what counts.")
    violations: int | None = of(maybe(count), None, "Constraints broken, in all the rollout.")
    mean_weight_low: float | None = of(maybe(number), None, "Anytime-valid, at HARD_LEVEL.")
    mean_weight_high: float | None = of(maybe(number), None)

    def __post_init__(self) -> None:
        check(self)


def _by_metric(about: str) -> Any:
    return field(
        default_factory=dict[str, Seen], metadata={"parse": named(inner(Seen)), "about": about}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One look. Raises ContractError, which names the field.

    Bounds of differences are anytime-valid, at `rule.level_of(metric, scope)`. The recent part
    begins at `recent_from`, at least `rule.recent_seconds` ago and not before the stage.
    """

    time: float = of(number, about="s; up to where events were read.")
    weight: float = of(number, about="Share of users that the canary is served to.")
    canary: ArmSeen = of(inner(ArmSeen), ArmSeen())  # noqa: RUF009
    control: ArmSeen = of(inner(ArmSeen), ArmSeen())  # noqa: RUF009
    rollout: Mapping[str, Seen] = _by_metric("All stages together, by metric.")
    stage: Mapping[str, Seen] = _by_metric("This stage alone.")
    recent: Mapping[str, Seen] = _by_metric("Its recent part.")
    recent_from: float | None = of(maybe(number), None, "s; where the recent part begins.")
    hard: Shares = of(inner(Shares), Shares(), "Of the canary.")  # noqa: RUF009
    sample_ratio_p: float | None = of(maybe(number), None, "Of this stage, anytime-valid.")
    multiple_exposure: float | None = of(maybe(number), None, "Share of users in both arms.")
    shadow: Shares = of(inner(Shares), Shares(), "Of the shadow, since it began.")  # noqa: RUF009

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "rollout_window")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Window:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "rollout_window")
