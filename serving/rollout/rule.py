"""The rule of a rollout: its stages, what is compared, how sure one must be, what stops it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    many,
    number,
    of,
    positive,
    text,
    to_json,
    whole,
)
from serving.contracts.nesting import count, flag, inner, one_of

Scope = Literal["rollout", "stage", "recent"]  # all stages together, this one, its recent part
Per = Literal["user", "session"]
_PER = one_of("user", "session")
HARD_LEVEL = 0.999999  # of the bounds behind hard stops, which every look computes anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A metric that must not get worse than `margin`, relative to control."""

    metric: str = of(text)
    margin: float = of(positive, about="How much worse it may get, as a share of control's.")
    share: float = of(positive, about="Of the rule's chance of a wrong rollback.")
    higher_is_better: bool = of(flag, True)
    per: Per = of(_PER, "user", "Totals of a user, or means of a session.")  # noqa: RUF009

    def __post_init__(self) -> None:
        check(self)
        if self.higher_is_better and self.margin >= 1:
            raise ContractError(
                f"margin of {self.metric} is {self.margin:g}; what must not fall cannot fall by "
                "more than all of it: it must be below 1", field="margin", limit=1,
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRule:
    """Everything that is decided before a rollout begins. Raises ContractError.

    Users are served the canary by stages. It goes on to the next share of users w when, by the
    lower bound of the difference, all users together lose at most `interim` margins of what control
    earns: w * loss <= interim * margin. The last step, to everybody, asks for a loss of at most
    `margin` (non_inferior), or for a gain (superior). It is rolled back when the upper bound lies
    below -margin.
    """

    stages: tuple[float, ...] = of(many(positive), (0.01, 0.05, 0.25, 0.5, 1.0))
    metric: str = of(text, "reward", "What the goal is about.")
    per: Per = of(_PER, "session", "Means of a session, or totals of a user.")  # noqa: RUF009
    goal: str = of(one_of("non_inferior", "superior"), "non_inferior")
    margin: float = of(positive, 0.03, "How much worse it may be, as a share of control's.")
    interim: float = of(positive, 2.0, "Times the margin, before the last step.")
    level: float = of(positive, 0.95, "1 - chance of any wrong soft rollback in all the rollout.")
    guardrails: tuple[Guardrail, ...] = of(many(inner(Guardrail)), ())
    tuned_at: float = of(positive, 3_000.0, "Effective sessions where bounds are narrowest.")

    least_users: int = of(whole, 100, "Of each arm, in a stage, before it may go on.")
    least_seconds: float = of(number, 86_400.0, "Of a stage, before it may go on.")
    last_seconds: float = of(
        number, 345_600.0, "Of the last stage before all users: longer than novelty lasts."
    )
    most_users: int = of(whole, 1_000_000, "Of both arms in a stage; then a person decides.")
    most_seconds: float = of(positive, 14 * 86_400.0, "Of a stage; then a person decides.")
    recent_seconds: float = of(positive, 86_400.0, "Length of the recent part of a stage.")

    shadow_decisions: int = of(count, 1000, "Before the first user is served; 0: no shadow.")
    violations: int = of(count, 0, "Broken constraints that are allowed.")
    error_share: float = of(positive, 0.01, "Of the canary's decisions that may fail.")
    fallback_share: float = of(positive, 0.05, "Of them that may be answered by the fallback.")
    p99_ms: float = of(positive, 200.0, "99 of 100 decisions must be faster.")
    sample_ratio_p: float = of(positive, 0.001, "Below it, arms are not split as they should be.")
    multiple_exposure: float = of(positive, 0.01, "Share of users that may be seen in both arms.")
    silent_seconds: float = of(positive, 900.0, "Without an event; the rollout is then paused.")
    lost_seconds: float = of(positive, 7_200.0, "Without an event; it is then rolled back.")

    def __post_init__(self) -> None:
        check(self)
        s, spent = self.stages, sum(g.share for g in self.guardrails)
        names = [self.metric, *(g.metric for g in self.guardrails)]
        if len(s) < 2 or s[-1] != 1 or any(a >= b for a, b in pairwise(s)):
            raise ContractError(
                f"stages is {s}; it must hold two shares or more that grow and end at 1",
                field="stages",
            )
        for name, top in (
            ("level", 1.0), ("margin", 1.0), ("error_share", 1.0), ("fallback_share", 1.0),
            ("sample_ratio_p", 1.0), ("multiple_exposure", 1.0),
        ):  # fmt: skip
            if getattr(self, name) >= top:
                raise ContractError(f"{name} is {getattr(self, name):g}; it must be below 1",
                                    field=name, limit=1)  # fmt: skip
        if spent >= 1 or len(set(names)) < len(names):
            raise ContractError(
                "guardrails must be of other metrics than the goal, each once, with shares that "
                f"sum to less than 1; they are {names[1:]} with {spent:g}",
                field="guardrails",
            )
        for low, high in (
            ("least_users", "most_users"), ("least_seconds", "most_seconds"),
            ("last_seconds", "most_seconds"),
            ("recent_seconds", "most_seconds"), ("silent_seconds", "lost_seconds"),
        ):  # fmt: skip
            if not 0 <= getattr(self, low) <= getattr(self, high):
                raise ContractError(f"{low} must be between 0 and {high}", field=low)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The goal's metric, then the guardrails'."""
        return (self.metric, *(g.metric for g in self.guardrails))

    def level_of(self, metric: str, scope: Scope) -> float:
        """Level of the two-sided confidence sequence that a window must bring of a metric.

        Only one side of it can roll back wrongly, so each side may miss with what the rule allows:
        1 - level is shared among the metrics, and of each metric's part one half goes to all stages
        together and one half is divided evenly over the stages by themselves. The recent part
        only ever holds a rollout back, and spends nothing; it has the level of its stage.
        """
        shares = {g.metric: g.share for g in self.guardrails}
        share = shares.get(metric, 1 - sum(shares.values()))
        parts = 1 if scope == "rollout" else len(self.stages) - 1
        return 1 - (1 - self.level) * share / parts

    def least_of(self, stage: int) -> float:
        """Seconds that a stage lasts at least."""
        last = stage == len(self.stages) - 2
        return max(self.least_seconds, self.last_seconds if last else 0.0)

    def per_of(self, metric: str) -> Per:
        """What the difference of a metric is of."""
        return {g.metric: g.per for g in self.guardrails}.get(metric, self.per)

    def tuned_for(self, scope: Scope, weight: float) -> float:
        """Effective sessions at which a sequence is narrowest: in a stage of its own, as many as
        come in the same time at this share of users instead of one half."""
        return self.tuned_at * (1.0 if scope == "rollout" else 4 * weight * (1 - weight))

    def to_json(self) -> bytes:
        return to_json(self, "rollout_rule")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> RolloutRule:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "rollout_rule")
