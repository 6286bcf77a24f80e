"""A look at a rollout as readings: what it did not see is no data."""

from __future__ import annotations

from dataclasses import replace

from serving.metrics.estimates import Estimate
from serving.metrics.text.watched import check_readings, watched_slis, watched_text
from serving.rollout.window import Mean
from serving.signals.alarms import firing
from serving.signals.readings import events_read, readings_of, versions_of
from tests.serving.signals.factories import MADE, RECORD, STATE


def test_a_look_is_what_its_window_saw() -> None:
    found = readings_of(RECORD, MADE)
    check_readings(found)
    assert found["longplay_uplift", "reward"] == (0.21, 4_230, -0.05, 0.47)
    assert found["longplay_session_reward", "control"] == (3.19, 4_020, 3.1, 3.28)
    assert found["longplay_rollout_phase", "canary"] == 1
    assert found["longplay_rollout_phase", "held"] == 0
    assert found["longplay_rollout_weight", ""] == 0.05
    text = watched_text(found, versions_of(RECORD)).decode()
    assert 'longplay_uplift{metric="reward",version="likes@8"} 0.21' in text
    assert 'longplay_session_reward{arm="control",version="likes@7"} 3.19' in text


def test_alarms_of_a_look() -> None:
    """Control is silent for longer than five minutes; decisions of a user are fewer for sure."""
    alarms = firing(watched_slis(readings_of(RECORD, MADE)), version="likes@8")
    assert [(one.name, one.about) for one in alarms] == [
        ("LongplayLogSilence", "control"), ("LongplayUplift", "decisions"),
    ]  # fmt: skip


def test_an_arm_that_is_worth_less_than_the_day_before_is_told() -> None:
    """Of 3.4 [3.1, 3.7] the canary's sessions lost more than a fifth; control's did not."""
    assert MADE.window is not None
    fell = replace(MADE.window.canary, mean=Mean(value=2.2, low=2.0, high=2.4, users=210))
    later = replace(MADE, window=replace(MADE.window, canary=fell))
    before = watched_slis(readings_of(RECORD, MADE))
    told = firing(watched_slis(readings_of(RECORD, later)), before=before)
    assert ("LongplaySessionReward", "canary") in {(one.name, one.about) for one in told}
    assert "LongplaySessionReward" not in {one.name for one in firing(before, before=before)}


def test_missing_events_are_a_share_of_those_since_the_rollout_began() -> None:
    """Writer a: numbers 11 to 1,009; b is new: 0 to 9. Of these 1,009, 40 are missing."""
    found = events_read({"a": 10}, {"a": 1_009, "b": 9}, 40.0)
    estimate = found["longplay_log_incomplete", ""]
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.n) == (40 / 1_009, 1_009)
    (alarm,) = firing(watched_slis(found))
    assert (alarm.name, alarm.severity) == ("LongplayLogIncomplete", "page")
    assert firing(watched_slis(events_read({"a": 10}, {"a": 1_009}, 0.0))) == []
    assert events_read({}, {}, 0.0)["longplay_log_incomplete", ""] is None


def test_without_a_look_there_is_no_number() -> None:
    another = replace(MADE, rollout="an earlier one")
    for last in (None, another, replace(MADE, window=None)):
        names = {name for name, _ in readings_of(RECORD, last)}
        assert "longplay_uplift" not in names
        assert "longplay_rollout_phase" in names
    over = replace(RECORD, state=replace(STATE, phase="rolled_back"))
    assert readings_of(over, None)["longplay_rollout_weight", ""] == 0  # it serves nobody
