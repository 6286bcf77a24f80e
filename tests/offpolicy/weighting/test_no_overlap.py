"""A target that never serves what was logged is a case to report, not to crash on."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from offpolicy import (
    ESTIMATORS,
    LogError,
    LoggedDataset,
    Outcome,
    TargetScores,
    Terms,
    estimate,
    evaluate,
    interval,
    partial,
)


def log_of(n: int = 60) -> LoggedDataset:
    rng = np.random.default_rng(0)
    return LoggedDataset.from_columns(
        session=np.arange(n) // 3,
        step=np.arange(n) % 3,
        slate=rng.integers(0, 4, n),
        propensity=np.full(n, 0.25),
        reward=rng.random(n),
        n_items=4,
    )


def test_what_still_exists_is_reported_and_the_verdict_is_cannot_tell() -> None:
    log = log_of()
    report = evaluate(log, np.zeros(60), horizon="per_decision", estimators=["pdis", "snpdis"])
    assert [line.estimator for line in report.lines] == ["pdis"]
    assert report.verdict.outcome is Outcome.UNDECIDED
    assert any("snpdis have no value" in note for note in report.notes)
    assert any("pdis have no value, and their intervals no bounds" in n for n in report.notes)
    line = report["pdis"]
    assert np.isnan(line.value.value)  # 0 +- 0 would be a certain zero
    assert (line.value.low, line.value.high) == (-np.inf, np.inf)
    assert (line.uplift.low, line.uplift.high) == (-np.inf, np.inf)
    assert '"value": null' in report.to_json()


def test_no_estimator_left_is_an_error_with_the_mend() -> None:
    with pytest.raises(LogError, match="never serves what was logged, so snips have no value"):
        evaluate(log_of(), np.zeros(60), horizon="one_step", estimators=["snips"])


def test_degenerate_weights_do_not_steer_the_uplift() -> None:
    """One session in a thousand matches: a regression on such weights would move the uplift far."""
    log = log_of(600)
    p = np.zeros(600)
    p[:3] = 1.0
    report = evaluate(log, TargetScores(p), horizon="per_decision", estimators=["pdis"])
    line = report["pdis"]
    plain = line.value.value - report.baseline.value
    assert line.uplift.value == pytest.approx(plain)


SESSIONS, STEPS = 40, 800


def lost_to_rounding() -> tuple[LoggedDataset, TargetScores]:
    """The target does the contrary of the logger: 800 ratios of 1/9, mostly, are less than the
    least number."""
    rng = np.random.default_rng(0)
    a = (rng.random((SESSIONS, STEPS)) < 0.1).astype(int).ravel()
    log = LoggedDataset.from_columns(
        session=np.repeat(np.arange(SESSIONS), STEPS), step=np.tile(np.arange(STEPS), SESSIONS),
        slate=a, propensity=np.where(a == 1, 0.1, 0.9), reward=rng.normal(-1, 1, a.size), n_items=2,
    )  # fmt: skip
    slates = np.broadcast_to(np.arange(2, dtype=np.int32)[None, :, None], (a.size, 2, 1))
    scores = np.where(a == 1, 0.9, 0.1)
    return log, TargetScores(scores, slates=slates, slate_weight=np.tile([0.1, 0.9], (a.size, 1)))


@pytest.mark.parametrize("horizon", ["per_decision", "trajectory"])
def test_products_lost_to_rounding_are_no_certain_zero(horizon: str) -> None:
    log, scores = lost_to_rounding()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = [n for n, e in ESTIMATORS.items() if horizon in e.horizons]
        if horizon == "trajectory":
            names = ["tis", "sntis"]
        report = evaluate(log, scores, horizon=horizon, estimators=names, check=False)  # type: ignore[arg-type]
    for line in report.lines:
        assert line.estimator == "dm" or (line.value.low, line.value.high) == (-np.inf, np.inf)
    assert report.verdict.outcome is Outcome.UNDECIDED
    assert not {"snpdis", "sntis", "wdr", "magic"} & {x.estimator for x in report.lines}


def test_streams_know_that_no_weight_is_left() -> None:
    w = np.full(6, 1e-200)
    t = Terms(w, np.ones(6), None, None, np.arange(6))
    streamed = partial(t, ["ips", "snips", "clipped_ips"])
    for name in ("ips", "clipped_ips"):
        for i in (streamed.interval(name), streamed.uplift(name), interval(estimate(t, name))):
            assert np.isnan(i.value)
            assert (i.low, i.high, i.se) == (-np.inf, np.inf, np.inf)
    for call in (lambda: streamed.interval("snips"), lambda: estimate(t, "snips")):
        with pytest.raises(LogError, match="never serve"):
            call()


def test_a_step_without_weight_is_enough() -> None:
    """The second step of a deterministic target was never logged: its part of the return is not
    known to be 0. The model knows: dm keeps its value. A session that ended keeps its weight."""
    columns = {"q_logged": [1.0] * 4, "v_target": [1.0] * 4, "unit": [0, 0, 1, 1]}
    t = Terms([1.0, 0, 2, 0], np.ones(4), **columns, stratum=[0, 1, 0, 1])  # type: ignore[arg-type]
    for name in ("pdis", "seq_dr"):
        assert np.isnan(estimate(t, name).value)
    assert estimate(t, "dm").value == 1
    with pytest.raises(LogError, match="no weight is left"):
        estimate(t, "snpdis")
    ended = Terms([1.0, 0, 2], np.ones(3), [1.0, 1, 1], [1.0, 1, 1], [0, 0, 1], stratum=[0, 1, 0])
    assert estimate(ended, "pdis").value == 1.5
