"""Differences in segments: claims together, shrinkage by hand, and arms from a log."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.trials.of_log import arm_rows, units_of_log
from offpolicy.trials.segments import segment_differences
from offpolicy.trials.units import TrialUnits
from tests.offpolicy.factories import sessions_log


def _trial(effects, n=2_000, seed=0):
    rng = np.random.default_rng(seed)
    size = n * len(effects)
    segment, canary = np.repeat(np.arange(len(effects)), n), rng.random(size) < 0.5
    x = rng.normal(0, 1, size) + np.asarray(effects)[segment] * canary
    zero = np.zeros(size, np.int64)
    units = TrialUnits(np.arange(size), canary, zero, x[:, None], np.ones(size), ("x",))
    return units, np.array([f"s{i}" for i in segment])


def test_equal_segments_are_said_to_be_equal():
    differ = claims = 0
    for seed in range(60):
        s = segment_differences(*_trial([0.0] * 5, 200, seed), "x")
        differ += s.p_value < 0.05
        claims += any(one.claim != "not shown" for one in s.segments)
    assert differ <= 8
    assert claims <= 8
    assert "no segment differs" in s.answer or differ


def test_a_segment_that_is_hurt_is_found():
    s = segment_differences(*_trial([0.05, 0.05, -0.6, 0.05]), "x")
    assert [one.claim for one in s.segments] == ["not shown", "not shown", "worse", "not shown"]
    assert s.answer.startswith("the segments differ")
    hurt = s.segments[2]
    assert hurt.difference.value < hurt.shrunk < s.mean
    assert hurt.shrunk_se < hurt.difference.se


def test_holm_says_more_than_bounds_that_hold_together():
    """Nine clear segments leave the whole level to a tenth."""
    effects = [0.8] * 9 + [0.165]
    found = [
        segment_differences(*_trial(effects, seed=seed), "x").segments[9] for seed in range(12)
    ]
    assert any(s.claim == "better" and s.difference.low <= 0 for s in found)
    assert not any(s.claim == "not shown" and s.difference.low > 0 for s in found)


def test_a_segment_with_too_few_users_says_nothing():
    units, label = _trial([0.5, 0.5])
    label = np.where(np.arange(len(units)) < 8, "tiny", label)
    s = segment_differences(units, label, "x")
    tiny = next(one for one in s.segments if one.name == "tiny")
    assert (tiny.claim, tiny.difference.low) == ("not shown", -np.inf)
    alone = segment_differences(units, {}, "x")
    assert [one.name for one in alone.segments] == ["unknown"]
    assert "too few segments" in alone.answer


def test_a_user_has_one_segment():
    units, label = _trial([0.0], 10)
    twice = units + TrialUnits(
        units.user, units.canary, units.stratum + 1, units.total, units.sessions, units.names
    )
    other = np.concatenate([label, np.full(10, "else")])
    with pytest.raises(ValueError, match="user 0 is in the segments s0 and else"):
        segment_differences(twice, other, "x")


def test_arms_of_a_log():
    user, steps = np.arange(20), 3
    logger = np.repeat(np.where(user % 2, "new", "old"), steps).astype("U8")
    logger[4] = "fallback"  # of user 1, who has the new policy
    log = sessions_log(20, steps, user=np.repeat(user // 2 * 2 + user % 2, steps), logger=logger)
    rows = arm_rows(log, ["new"], ["old"])
    assert (rows.by_user, rows.left_out) == (1, 0)
    assert rows.canary[4]
    units = units_of_log(log, rows)
    assert len(units) == 20
    assert units.sessions.tolist() == [1] * 20
    assert units.metric("decisions").tolist() == [3] * 20
    assert units.metric("reward").sum() == log.reward.sum()
    assert units.canary.tolist() == (user % 2 == 1).tolist()
    assert units_of_log(log, rows, past=log).covariate.tolist() == units.metric("reward").tolist()
    with pytest.raises(ValueError, match="newer wrote no row of this log; fallback, new, old did"):
        arm_rows(log, ["newer"])
    with pytest.raises(ValueError, match="old cannot be in both arms"):
        arm_rows(log, ["new", "old"], ["old"])
