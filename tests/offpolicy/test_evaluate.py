"""From a log to a report."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from offpolicy import LogError, Outcome, TargetScores, evaluate
from tests.offpolicy.factories import sessions_log, target


def test_one_step_report_holds_the_truth_and_passes() -> None:
    log = sessions_log()
    report = evaluate(log, target(log), horizon="one_step")
    truth = 0.8 * 0.7 + 0.2 * 0.3
    frame = report.to_frame().set_index("estimator")
    assert list(frame.index) == ["ips", "clipped_ips", "snips", "cr", "dm", "dr", "sndr"]
    for name in ("ips", "snips", "cr", "dr", "sndr"):
        assert frame.low[name] < truth < frame.high[name]
        assert frame.uplift_low[name] < truth - 0.5 < frame.uplift_high[name]
    assert set(frame.horizon) == {"one_step"}
    assert report.verdict.outcome is Outcome.UNDECIDED  # 400 sessions: an effective 380
    assert report.verdict.step == "overlap"


def test_session_report_counts_sessions_and_decides() -> None:
    log = sessions_log(3000)
    truth = 3 * (0.8 * 0.7 + 0.2 * 0.3)
    report = evaluate(log, target(log), horizon="per_decision")
    frame = report.to_frame().set_index("estimator")
    assert list(frame.index) == ["pdis", "snpdis", "dm", "seq_dr"]
    sampled = frame.drop(index="dm")
    assert ((sampled.low < truth) & (truth < sampled.high)).all()
    assert frame.value["dm"] == pytest.approx(truth, abs=0.03)
    assert any("dm" in x and "not of the error of the model" in x for x in report.notes)
    assert frame.se["seq_dr"] < frame.se["pdis"]
    assert report.verdict.outcome is Outcome.PASS
    assert report.baseline.value == pytest.approx(1.5, abs=0.06)
    worse = evaluate(log, target(log, 0.2), horizon="per_decision")
    assert worse.verdict.outcome is Outcome.FAIL


def test_cut_sessions_are_told() -> None:
    log = sessions_log(10)
    part = log.take(np.asarray(log.step) < np.where(np.asarray(log.session) < 4, 2, 3))
    report = evaluate(part, target(part), horizon="per_decision", model=None)
    assert any("4 of 10 sessions were cut (truncated" in x for x in report.notes)


def test_clipped_values_never_stand_bare() -> None:
    log = sessions_log()
    report = evaluate(
        log, target(log), horizon="one_step", model=None, hyper={"clipped_ips": {"cap": 1.2}}
    )
    line = report["clipped_ips"]
    assert line.biased
    lost = 1 - np.minimum(target(log).propensity / 0.5, 1.2).mean()
    assert line.value.bias == pytest.approx((0, lost), abs=1e-12)
    assert "clipped_ips (biased)" in report.to_markdown()
    assert "cap 1.2" in report.to_markdown()
    truth = 0.8 * 0.7 + 0.2 * 0.3
    assert line.value.low < truth < line.value.high


def test_settings_are_chosen_on_the_log_when_asked() -> None:
    log = sessions_log()
    report = evaluate(
        log, target(log), horizon="one_step", estimators=["clipped_ips", "dros"], hyper="slope"
    )
    assert report["clipped_ips"].settings["cap"] >= 2
    assert set(report["dros"].settings) == {"shrinkage"}


def test_without_slates_the_model_estimators_are_left_out_and_that_is_said() -> None:
    log = sessions_log()
    report = evaluate(log, target(log).propensity, horizon="one_step")
    assert list(report.to_frame().estimator) == ["ips", "clipped_ips", "snips", "cr"]
    assert "no reward model was fitted" in report.notes[0]
    with pytest.raises(ValueError, match="dr need a reward model"):
        evaluate(log, target(log).propensity, horizon="one_step", estimators=["dr"])


def test_scores_may_be_a_callable_and_must_fit() -> None:
    log = sessions_log(50)
    report = evaluate(log, lambda x: target(x).propensity, horizon="one_step")
    assert report.lines[0].estimator == "ips"
    with pytest.raises(LogError, match="3 target scores for 150 logged decisions"):
        evaluate(log, np.ones(3), horizon="one_step")
    wide = TargetScores(np.ones(150), slates=np.full((150, 2, 1), 7, np.int32))
    with pytest.raises(LogError, match="another catalogue size"):
        evaluate(log, wide, horizon="one_step")
    with pytest.raises(LogError, match=r"target propensity\[2\] = 1.5"):
        evaluate(log, np.where(np.arange(150) == 2, 1.5, 0.5), horizon="one_step")


def test_chosen_slates_need_probabilities_that_sum_to_one() -> None:
    slates = np.zeros((3, 2, 1), np.int32)
    share = np.array([[0.5, 0.5], [0.5, 0.4], [1.0, 0.0]])
    with pytest.raises(LogError, match=r"slate_weight\[1\] sums to 0.9"):
        TargetScores(np.ones(3), slates=slates, slate_weight=share)
    with pytest.raises(LogError, match=r"is \(N, S\)"):
        TargetScores(np.ones(3), slates=slates, slate_weight=share[:, :1])


def test_estimators_of_another_estimand_are_refused() -> None:
    log = sessions_log(50)
    with pytest.raises(ValueError, match="pdis is no estimator of the one_step estimand"):
        evaluate(log, target(log), horizon="one_step", estimators=["pdis"])


def test_json_is_strict_and_html_is_whole() -> None:
    log = sessions_log()
    report = evaluate(log, target(log), horizon="one_step")
    told = json.loads(report.to_json())
    assert told["horizon"] == "one_step"
    assert told["log_hash"] == log.hash()
    assert told["verdict"]["outcome"] == "cannot tell"
    page = report.to_html()
    assert page.startswith("<!doctype html>")
    assert "expected reward of one decision" in page
    assert "src=" not in page


def test_a_plugged_sklearn_model_serves_decisions_and_sessions() -> None:
    from sklearn.linear_model import LinearRegression

    log = sessions_log(300)
    for horizon, truth in (("one_step", 0.62), ("per_decision", 1.86)):
        report = evaluate(log, target(log), horizon=horizon, model=LinearRegression())  # type: ignore[arg-type]
        assert report["dm"].value.value == pytest.approx(truth, abs=0.12)


@pytest.mark.parametrize(
    ("name", "horizon", "maker"),
    [
        ("mips", "one_step", "mips_terms or estimated_mips_terms"),
        ("offcem", "one_step", "offcem_terms"),
        ("lips", "one_step", "lips_terms"),
        ("cascade_dr", "one_step", r"slate_terms\(model=...\)"),
        ("aips", "one_step", r"slate_terms\(behaviour=...\)"),
        ("dice", "marginal", "dice_terms"),
    ],
)
def test_a_name_whose_weights_evaluate_cannot_make_is_refused(
    name: str, horizon: Any, maker: str
) -> None:
    """Plain ratios under the name of mips, and cascade_dr without a model of the places, were
    printed as if they were these estimators."""
    log = sessions_log(20)
    with pytest.raises(ValueError, match=f"make its terms with {maker}"):
        evaluate(log, target(log), horizon=horizon, estimators=[name], state=np.asarray(log.step))


def test_orders_of_evaluate_that_mean_nothing_are_refused() -> None:
    log = sessions_log(20)
    with pytest.raises(ValueError, match="hyper = 'slopes'"):
        evaluate(log, target(log), horizon="one_step", hyper="slopes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no horizon 'forever'; there are one_step"):
        evaluate(log, target(log), horizon="forever", estimators=[])  # type: ignore[arg-type]
