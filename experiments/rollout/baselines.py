"""Two usual ways to decide about a canary, on the same traffic."""

from __future__ import annotations

from dataclasses import replace

from serving.rollout.actions import PROMOTE, ROLLBACK, WEIGH, Action, Step
from serving.rollout.hard import hard_stop
from serving.rollout.rule import RolloutRule
from serving.rollout.soft import relative, wanted
from serving.rollout.state import RolloutState
from serving.rollout.window import Window

T_95 = 1.96  # standard errors: significant at 5 %, if that look were the only one


def t_test(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    """Back when a metric is significantly worse at this look by a t test of 5 %; else on, once the
    stage has lasted as long as the rule wants."""
    for w in wanted(rule):
        r = relative(window, rule, w, "rollout")
        if r is not None and r.value + T_95 * r.se < 0:
            return _back(state, f"soft stop: {w.metric} {r.value:+.1%}, t = {r.value / r.se:.1f}")
    return no_errors(state, window, rule)


def no_errors(state: RolloutState, window: Window, rule: RolloutRule) -> Step:
    """Back when the canary fails, is slow or breaks a rule; else on, once the stage has lasted as
    long as the rule wants. What the canary earns does not count."""
    why = hard_stop(window, rule)
    if why is not None:
        return _back(state, f"hard stop: {why}")
    if window.time - state.since < rule.least_of(state.stage):
        return Step(state=state, reason="waits")
    stage = state.stage + 1
    weight = rule.stages[stage]
    after = replace(state, stage=stage, weight=weight, since=window.time)
    if weight == 1:
        return Step(
            state=replace(after, phase="done"), actions=(Action(kind=PROMOTE),), reason="on"
        )
    return Step(state=after, actions=(Action(kind=WEIGH, weight=weight),), reason="on")


def _back(state: RolloutState, why: str) -> Step:
    after = replace(state, phase="rolled_back", weight=0.0)
    return Step(state=after, actions=(Action(kind=ROLLBACK),), reason=f"rolled back: {why}")
