"""The canary's value twice: right logs agree, a wrong propensity or exposure does not."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LoggedDataset, TargetScores
from offpolicy.trials.agreement import agreement

STEPS, NEW = 3, 0.7


def _log(n, seed, shows=0.5, logged=None, user_offset=0, pays=0.0):
    """Item 1 pays .7 and item 0 .3 (more by `pays`); it is shown with `shows`, logged as said."""
    rng = np.random.default_rng(seed)
    item = (rng.random(n * STEPS) < shows).astype(np.int64)
    p = shows if logged is None else logged
    step = np.tile(np.arange(STEPS), n)
    return LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), STEPS) + user_offset,
        step=step,
        slate=item,
        propensity=np.where(item == 1, p, 1 - p),
        reward=(rng.random(n * STEPS) < np.where(item == 1, 0.7, 0.3)) + pays,
        n_items=2,
        terminated=step == STEPS - 1,
        consumed=item,
    )


def _scores(log, p1=NEW):
    return TargetScores(np.where(log.slate[:, 0] == 1, p1, 1 - p1))


def _agree(control, canary, **options):
    return agreement(control, _scores(control), canary, _scores(canary), **options)


def test_right_logs_agree_as_often_as_they_say():
    wrong = 0
    for seed in range(60):
        a = _agree(_log(1_000, seed), _log(100, 1_000 + seed, NEW), level=0.9)
        wrong += a.verdict == "disagree"
    assert wrong <= 12, "10 % of 60, and 2.6 standard errors"
    assert a.estimated.value == pytest.approx(STEPS * 0.58, abs=0.2)
    assert a.difference.value == pytest.approx(a.own.value - a.estimated.value)
    assert a.difference.se == pytest.approx(np.hypot(a.own.se, a.estimated.se), rel=0.01)
    assert a.look_at == () or a.verdict == "disagree"


def test_a_wrong_propensity_of_the_control_is_seen_and_named():
    a = _agree(_log(4_000, 0, shows=0.65, logged=0.5), _log(1_000, 1, NEW))
    assert a.verdict == "disagree"
    assert any("control's log" in line and "weight" in line for line in a.look_at), a.look_at


def test_another_version_behind_the_canary_is_seen_and_named():
    a = _agree(_log(4_000, 0), _log(2_000, 1, shows=0.3))
    assert a.verdict == "disagree"
    assert a.look_at[0].startswith("the canary's logged propensities: 100.0% of its rows")


def test_outcomes_that_one_arm_counts_otherwise_are_seen_but_not_located():
    a = _agree(_log(4_000, 0), _log(2_000, 1, NEW, pays=0.1))
    assert a.verdict == "disagree"
    assert any(line.startswith("outcomes:") for line in a.look_at)


def test_a_thin_log_cannot_tell():
    a = _agree(_log(30, 0), _log(30, 1, NEW))
    assert a.verdict == "cannot tell"
    with pytest.raises(ValueError, match="horizon = 'trajectory'"):
        _agree(_log(30, 0), _log(30, 1, NEW), horizon="trajectory")
