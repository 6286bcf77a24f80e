"""When learning is due, and when it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving import ContractError
from serving.relearning.triggers import (
    RelearnRule,
    RelearnState,
    Trigger,
    begun,
    due,
    ended,
    why_not,
)

ALL = RelearnRule(every=100.0, sessions=50, when_drift=True, apart=10.0, longest=1_000.0)


def kind(state: RelearnState, rule: RelearnRule, now: float) -> str | None:
    found = due(state, rule, now)
    return None if found is None else found.kind


def test_each_reason_by_itself_and_their_order() -> None:
    idle = RelearnState(sessions=120, learnt=100, began=0.0)
    assert kind(idle, ALL, 99.0) is None
    assert kind(idle, ALL, 100.0) == "schedule"
    assert kind(replace(idle, sessions=150), ALL, 100.0) == "sessions"
    assert kind(replace(idle, sessions=150, alarm="reward fell"), ALL, 100.0) == "drift"
    assert kind(replace(idle, alarm="reward fell"), RelearnRule(sessions=50), 9e9) is None
    assert kind(replace(idle, sessions=100), ALL, 100.0) is None  # nothing new to learn from
    assert kind(replace(idle, began=None), ALL, 0.0) == "schedule"


def test_runs_are_apart_and_one_at_a_time() -> None:
    state = RelearnState(sessions=150, learnt=100, began=0.0, alarm="reward fell")
    assert due(state, ALL, 9.9) is None
    assert "10 s apart" in why_not(state, ALL, 9.9)
    trigger = due(state, ALL, 10.0)
    assert trigger is not None
    assert trigger.why == "drift: reward fell"
    state = begun(state, "cut-1", 150, 10.0)
    again = replace(state, sessions=900, alarm="worse still")
    assert due(again, ALL, 900.0) is None
    assert "cut-1 goes on" in why_not(again, ALL, 900.0)
    assert kind(ended(again), ALL, 900.0) == "drift"
    assert kind(again, ALL, 1_010.0) == "drift"  # a run that was killed does not block for ever
    assert due(ended(state), ALL, 100.0) is None  # the alarm is answered, and nothing is new


def test_a_run_that_began_after_now_holds_back_no_other() -> None:
    """A clock that was years ahead, once, and was set right."""
    state = RelearnState(sessions=150, learnt=100, began=1e9)
    assert kind(state, ALL, 100.0) == "sessions"
    assert kind(replace(state, sessions=101), ALL, 100.0) == "schedule"
    assert kind(replace(state, alarm="reward fell", running="cut-1"), ALL, 100.0) == "drift"
    assert "-" not in why_not(replace(state, sessions=100), ALL, 100.0)


def test_all_of_it_is_json() -> None:
    state = RelearnState(sessions=3, began=1.5, running="cut-1", alarm="x")
    assert RelearnState.from_json(state.to_json()) == state
    assert RelearnRule.from_json(ALL.to_json()) == ALL
    trigger = Trigger(kind="drift", why="drift: x", time=2.0)
    assert Trigger.from_json(trigger.to_json()) == trigger
    with pytest.raises(ContractError, match="when_drift"):
        RelearnRule(when_drift=1)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="sessions"):
        RelearnRule(sessions=0)
