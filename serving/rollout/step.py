"""One look at a rollout: what is seen, and what follows. Pure: no clock, no file, no draw."""

from __future__ import annotations

from dataclasses import replace

from serving.rollout.actions import ALERT, PROMOTE, ROLLBACK, WEIGH, Action, Step
from serving.rollout.hard import SLOW_SHARE, failing, hard_stop, silence, unknown
from serving.rollout.rule import RolloutRule
from serving.rollout.soft import not_ready, worse
from serving.rollout.state import RolloutState, check_state
from serving.rollout.window import Window

SERVED = 1e-9  # weights that differ less are the same


def step(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    """What follows from one look, in this order: an ended rollout stays ended; the last window once
    more changes nothing; hard stops; silence; soft stops; an older window, of a clock that went
    back, changes nothing else; a share of users that is served but should not be is set right; a
    person's hold; then the shadow, or the next stage.

    A silent event log pauses: nothing says that the canary is at fault, most logs come back, and a
    rollback would throw the stage's evidence away. But nobody sees what the canary does, so from
    `lost_seconds` on it is rolled back: what is served unseen is bounded. What is not known never
    moves a canary forward.

    Raises ContractError for a state that is none of the rule.
    """
    check_state(state, rule)
    if state.final or window.time == state.looked:
        return Step(state=state, reason=state.reason)
    back = 0.0 if state.looked is None else state.looked - window.time
    now = state if back > 0 else replace(state, looked=window.time)
    stopped = _stops(now, window, rule)
    if stopped is not None:
        return stopped
    if back > 0:
        reason = f"the clock went back by {back:.0f} s: only stops count until it is there again"
        return Step(state=state, reason=reason)
    if abs(window.weight - now.weight) > SERVED:
        reason = f"{window.weight:.3g} of users are served and {now.weight:.3g} should be: set"
        return _stay(now, reason, Action(kind=WEIGH, weight=now.weight))
    if now.phase == "paused":
        reason = f"{now.before or 'canary'}: the event log speaks again"
        now = replace(now, phase=now.before or "canary", before="", reason=reason)
    if now.phase == "held":
        return _stay(now, now.reason)
    return _shadow(now, window, rule) if now.stage < 0 else _canary(now, window, rule)


def _stops(state: RolloutState, window: Window, rule: RolloutRule) -> Step | None:
    """Hard stops, silence, soft stops."""
    shadow = state.stage < 0
    why = failing(window.shadow, rule) if shadow else hard_stop(window, rule)
    if why is not None:
        return _back(state, f"hard stop: {why}")
    if shadow:
        return None
    quiet = silence(window)
    if quiet > rule.lost_seconds:
        return _back(state, f"the event log has been silent too long: {_seconds(quiet, rule)}")
    if quiet > rule.silent_seconds:
        if state.phase == "paused":
            return _stay(state, state.reason)
        reason = f"paused: the event log is silent: {_seconds(quiet, rule)}; look at its writers"
        alert = Action(kind=ALERT, text=reason)
        return _stay(replace(state, phase="paused", before=state.phase), reason, alert)
    below = worse(window, rule)
    return None if below is None else _back(state, f"soft stop: {below}")


def _shadow(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    s = window.shadow
    missing = unknown(s, ("decisions", "errors", "slow", "mean_weight_low", "mean_weight_high"))
    if missing:
        return _wait(state, window, rule, f"no data: {', '.join(missing)} of the shadow unknown")
    decisions, errors, slow = (x or 0 for x in (s.decisions, s.errors, s.slow))
    seen = f"{decisions} of {rule.shadow_decisions} decisions, {errors} failed, {slow} slow"
    if (
        decisions < rule.shadow_decisions
        or errors > rule.error_share * decisions
        or slow > SLOW_SHARE * decisions
    ):
        return _wait(state, window, rule, f"shadow: {seen}")
    weight = rule.stages[0]
    reason = (
        f"shadow passed: {seen}, mean weight in [{s.mean_weight_low:.3g}, "
        f"{s.mean_weight_high:.3g}]; {weight:.3g} of users from now"
    )
    after = replace(
        state, phase="canary", stage=0, weight=weight, since=window.time, extensions=0, resumed=None
    )
    return _stay(after, reason, Action(kind=WEIGH, weight=weight))


def _canary(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    missing = _unknown(window)
    if missing:
        return _wait(state, window, rule, f"no data: {', '.join(missing)} unknown")
    share = rule.stages[state.stage + 1]
    why = _exposure(state, window, rule) or not_ready(window, rule, share)
    if why is not None:
        return _wait(state, window, rule, f"at {state.weight:.3g} of users: {why}")
    most = rule.margin * (1.0 if share == 1 else rule.interim)
    reason = f"from {state.weight:.3g} to {share:.3g} of users: by its bounds all lose no more"
    reason += f" than {most:.1%}"
    after = replace(
        state, stage=state.stage + 1, weight=share, since=window.time, extensions=0, resumed=None
    )
    if share == 1:
        return _stay(replace(after, phase="done"), reason, Action(kind=PROMOTE))
    return _stay(after, reason, Action(kind=WEIGH, weight=share))


def _exposure(state: RolloutState, window: Window, rule: RolloutRule) -> str | None:
    """What a stage still lacks before it may be left."""
    users = min(window.canary.users or 0, window.control.users or 0)
    if users < rule.least_users:
        return f"{users} users in an arm of {rule.least_users}"
    least = rule.least_of(state.stage)
    if window.time - state.since < least:
        return f"{window.time - state.since:.0f} s of {least:.0f} s"
    began = window.recent_from
    if began is None or began < state.since or window.time - began < rule.recent_seconds:
        return f"its recent part is not yet {rule.recent_seconds:.0f} s long"
    return None


def _wait(state: RolloutState, window: Window, rule: RolloutRule, why: str) -> Step:
    """It stays; where the planned exposure of the stage is spent, a person is asked."""
    began = state.since if state.resumed is None else state.resumed
    spent = window.time - began, (window.canary.users or 0) + (window.control.users or 0)
    if spent[0] < rule.most_seconds and spent[1] < rule.most_users * (state.extensions + 1):
        return _stay(state, why)
    reason = (
        f"held, cannot tell: the planned exposure is spent ({spent[0]:.0f} s, {spent[1]} users) "
        f"and {why}. Resume for as much again, widen the margin in a new rollout, or stop it"
    )
    return _stay(replace(state, phase="held"), reason, Action(kind=ALERT, text=reason))


def _unknown(window: Window) -> list[str]:
    missing = unknown(window.hard)
    if window.hard.decisions == 0:  # of none, no share is known
        missing.append("what the canary does of late")
    missing += [
        name.replace("_", " ")
        for name in ("sample_ratio_p", "multiple_exposure")
        if getattr(window, name) is None
    ]
    for name, arm in (("canary", window.canary), ("control", window.control)):
        missing += [
            f"{what.replace('_', ' ')} of {name}"
            for what in ("users", "silent_seconds")
            if getattr(arm, what) is None
        ]
    return missing


def _back(state: RolloutState, reason: str) -> Step:
    after = replace(state, phase="rolled_back", weight=0.0, before="")
    reason = f"rolled back from {state.weight:.3g} of users: {reason}"
    return _stay(after, reason, Action(kind=ROLLBACK), Action(kind=ALERT, text=reason))


def _stay(state: RolloutState, reason: str, *actions: Action) -> Step:
    return Step(state=replace(state, reason=reason), actions=actions, reason=reason)


def _seconds(quiet: float, rule: RolloutRule) -> str:
    return f"{quiet:.0f} s for an arm's share; {rule.silent_seconds:.0f} s are normal"
