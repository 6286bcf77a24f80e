"""One look at a rollout: what is seen, and what follows. Pure: no clock, no file, no draw."""

from __future__ import annotations

from serving.rollout.actions import Step
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.window import Window


def step(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    """What follows from one look."""
    if state.final:
        return Step(state=state, reason=state.reason)
    return Step(state=state, reason="no data: nothing is known, so nothing moves")
