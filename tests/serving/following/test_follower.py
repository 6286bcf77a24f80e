"""Events are read quickly, and as they are read slowly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving import MemoryLog
from serving.contracts.events import read_event
from serving.contracts.fields import ContractError
from serving.contracts.shadows import ShadowEvent
from serving.following.follower import Follower, read_quickly
from tests.serving.rollout.traffic import decision, messy, outcome


def test_events_are_what_they_are_when_they_are_read_slowly() -> None:
    one = decision(0, "ann", 1.0)
    full = replace(
        one, candidates=(1, -1, 2), candidate_propensity=(0.5, 0.0, 0.5), context=(1.0, 2.0),
        history_age=3.0, prior_items=(1, 2), prior_responses=((1.0,), (0.5,)), fallback="deadline",
    )  # fmt: skip
    shadow = ShadowEvent(
        decision_id="d", time=1.0, user="ann", policy="new", policy_sha256="", live_policy="old",
        live_propensity=0.5, propensity=None, total_variation=None, worked_ms=1.0, together=1,
        error="ValueError",
    )  # fmt: skip
    came = outcome(one, 1.0, item=None, client_time=5.0, responses=(1.0,))
    for event in (*messy(0, 20), full, shadow, came):
        line = event.to_json()
        assert read_quickly(line) == read_event(line) == event


def test_a_clock_that_is_set_back_is_counted_and_one_that_is_kept_right_is_not() -> None:
    events = MemoryLog()
    for nth, time in enumerate((100.0, 160.0, 159.5, 40.0, 41.0)):
        events.append(decision(nth, "ann", time).to_json())
    follower = Follower(events)
    assert len([*follower.new()]) == 5
    assert follower.counts["backward_events"] == 1
    events.append(decision(5, "ann", 30.0).to_json())
    assert len([*follower.new()]) == 1
    assert follower.counts["backward_events"] == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [(b'"time":1.0', b'"time":"x"', "time"), (b'"user":"ann",', b"", "user"), (b"}", b"", "JSON")],
)
def test_what_is_no_event_is_named(old: bytes, new: bytes, said: str) -> None:
    line = decision(0, "ann", 1.0).to_json()
    assert old in line
    with pytest.raises(ContractError, match=said):
        read_quickly(line.replace(old, new))
