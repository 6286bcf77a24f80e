"""A target that never serves what was logged is a case to report, not to crash on."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, Outcome, TargetScores, evaluate


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
