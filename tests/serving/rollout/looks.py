"""States and windows of a rollout that goes well, to be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from serving.rollout.rule import Guardrail, RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.window import ArmSeen, Seen, Shares, Window

DAY = 86_400.0
RULE = RolloutRule(
    margin=0.03,
    recent_seconds=DAY / 2,
    last_seconds=2 * DAY,
    guardrails=(Guardrail(metric="bounces", margin=0.1, share=0.2, higher_is_better=False),),
)
WELL = Shares(
    decisions=5_000, errors=2, fallbacks=0, slow=10, violations=0, mean_weight_low=0.98,
    mean_weight_high=1.02,
)  # fmt: skip


def at(stage: int, **changed: Any) -> RolloutState:
    state = RolloutState(
        rollout="r", version="v2", phase="canary", stage=stage, weight=RULE.stages[stage], since=0.0
    )
    return replace(state, **changed)


def difference(value: float, half: float, scope: str, metric: str = "reward") -> Seen:
    """Shares of a control that earns 2."""
    low, high = 2 * (value - half), 2 * (value + half)
    return Seen(
        value=2 * value, low=low, high=high, se=2 * half / 3.3, canary=2 + 2 * value, control=2.0,
        users=1_000, level=RULE.level_of(metric, "rollout" if scope == "rollout" else "stage"),
    )  # fmt: skip


def window(
    weight: float, value: float = 0.0, half: float = 0.02, time: float = 2 * DAY, **changed: Any
) -> Window:
    def both(scope: str, value: float, half: float) -> dict[str, Seen]:
        bounces = difference(0.0, half, scope, "bounces")
        return {"reward": difference(value, half, scope), "bounces": bounces}

    w = Window(
        time=time,
        weight=weight,
        canary=ArmSeen(users=500, silent_seconds=1.0),
        control=ArmSeen(users=500, silent_seconds=1.0),
        rollout=both("rollout", value, half),
        stage=both("stage", value, 2 * half),
        recent=both("recent", value, half),
        recent_from=time - DAY,
        hard=WELL,
        sample_ratio_p=0.6,
        multiple_exposure=0.0,
        shadow=WELL,
    )
    return replace(w, **changed)
