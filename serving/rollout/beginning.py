"""How a rollout begins, and what a person may say to it."""

from __future__ import annotations

from dataclasses import replace

from serving.contracts.fields import ContractError
from serving.rollout.actions import ROLLBACK, SHADOW, WEIGH, Action, Step
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState


def begin(rule: RolloutRule, *, rollout: str, version: str, sha256: str = "", time: float) -> Step:
    """The first step: in the shadow, or at the first share of users where the rule has none."""
    if rule.shadow_decisions > 0:
        reason = f"shadow: {rule.shadow_decisions:,} decisions are compared before users see it"
        state = RolloutState(
            rollout=rollout, version=version, sha256=sha256, phase="shadow", since=time,
            reason=reason,
        )  # fmt: skip
        return Step(state=state, actions=(Action(kind=SHADOW),), reason=reason)
    weight = rule.stages[0]
    reason = f"canary: begins at {weight:.3g} of users"
    state = RolloutState(
        rollout=rollout, version=version, sha256=sha256, phase="canary", stage=0, weight=weight,
        since=time, reason=reason,
    )  # fmt: skip
    return Step(state=state, actions=(Action(kind=WEIGH, weight=weight),), reason=reason)


def hold(state: RolloutState, *, by: str, why: str) -> Step:
    """A person keeps it at its share of users. Raises ContractError where it has ended."""
    _check_running(state, "held")
    reason = f"held by {by}: {why}"
    return Step(state=replace(state, phase="held", before="", reason=reason), reason=reason)


def resume(state: RolloutState, *, by: str, why: str) -> Step:
    """A person lets it go on, with the stage's planned exposure once more from now on.

    Raises ContractError where it neither is held nor paused.
    """
    if state.phase not in ("held", "paused"):
        raise ContractError(
            f"rollout {state.rollout} is {state.phase}; only one that is held or paused resumes",
            field="phase",
        )
    reason = f"resumed by {by}: {why}"
    after = replace(
        state,
        phase="shadow" if state.stage < 0 else "canary",
        before="",
        extensions=state.extensions + 1,
        resumed=state.since if state.looked is None else state.looked,
        reason=reason,
    )
    return Step(state=after, reason=reason)


def stop(state: RolloutState, *, by: str, why: str) -> Step:
    """A person rolls it back. Raises ContractError where it has ended."""
    _check_running(state, "stopped")
    reason = f"rolled back by {by}: {why}"
    after = replace(state, phase="rolled_back", weight=0.0, before="", reason=reason)
    return Step(state=after, actions=(Action(kind=ROLLBACK),), reason=reason)


def _check_running(state: RolloutState, what: str) -> None:
    if state.final:
        raise ContractError(
            f"rollout {state.rollout} is {state.phase} and cannot be {what}; begin a new one",
            field="phase",
        )
