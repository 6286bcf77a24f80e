"""The log doctor finds every planted fault, and passes clean logs."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.benchmark.faults import FAULTS, clean, examine, flag_rates
from offpolicy import (
    Health,
    LoggedDataset,
    Outcome,
    TargetScores,
    check_log,
    decide,
    diagnose,
    evaluate,
)
from offpolicy.doctor.findings import Finding, Level
from offpolicy.weighting.overlap import known_variance
from tests.offpolicy.factories import GOOD, even, sessions_log, target


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "none"])
def test_every_fault_is_seen_by_the_check_that_is_for_it(fault: str) -> None:
    sure = [check for check, share in FAULTS[fault].expected.items() if share == 1]
    rates = flag_rates(fault, 3, first_seed=100)
    assert max(rates[check] for check in sure) == 1
    assert rates["FAIL"] > 0


def test_clean_logs_never_fail() -> None:
    rates = flag_rates("none", 6, first_seed=500)
    assert rates["FAIL"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_table(fault: str) -> None:
    """20 logs each, within three binomial errors of the printed shares; 40 clean logs, no FAIL."""
    rates = flag_rates(fault, 40 if fault == "none" else 20)
    if fault == "none":
        assert rates["FAIL"] == 0
    for check, share in FAULTS[fault].expected.items():
        spread = np.sqrt(max(share * (1 - share), 0.05) / 20)
        assert rates[check] >= share - 3 * spread, check


def test_findings_name_row_rule_and_fix() -> None:
    w = clean(0, 2000)
    w.propensity[17] *= 1.5
    check = examine(w)
    assert check is not None
    assert check.verdict is Health.FAIL
    assert check["structure"].row == 17
    assert "the first is row 17" in str(check)
    assert "at serve time" in check.troubles[0].fix


def test_a_deterministic_logger_cannot_be_weighed() -> None:
    log = LoggedDataset.from_columns(
        session=np.arange(50), step=np.zeros(50), slate=np.zeros(50), propensity=np.ones(50),
        reward=np.ones(50), n_items=3,
    )  # fmt: skip
    assert check_log(log)["deterministic logger"].level.name == "FAIL"


def test_missing_support_is_measured_on_the_targets_slates() -> None:
    n = 1000
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=np.arange(n) % 2, propensity=np.full(n, 0.5),
        reward=np.ones(n), n_items=3, candidate_propensity=np.tile([0.5, 0.5, 0.0], (n, 1)),
    )  # fmt: skip
    scores = TargetScores(
        np.full(n, 0.35), slates=np.tile(np.array([[0], [1], [2]], np.int32), (n, 1, 1)),
        slate_weight=np.tile([0.35, 0.35, 0.3], (n, 1)),
    )  # fmt: skip
    finding = check_log(log, scores)["support"]
    assert finding.level.name == "FAIL"
    assert "30.00% of the target's mass" in finding.found


def test_sample_ratio_loggers_days_and_heavy_units() -> None:
    rng = np.random.default_rng(0)
    n = 6000
    day = np.repeat([0, 1, 2], n // 3)
    reward = (rng.random(n) < np.where(day == 2, 0.3, 0.1)).astype(float)
    reward[:3] = 300.0
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=rng.integers(0, 2, n),
        propensity=np.full(n, 0.5), reward=reward, n_items=2,
        logger=np.where(rng.random(n) < 0.44, "a", "b"),
    )  # fmt: skip
    check = check_log(log, time=day * 86_400.0 + 5, expected_shares={"a": 0.5, "b": 0.5})
    assert check["sample ratio"].level.name == "FAIL"
    assert check["heavy units"].level.name == "WARN"
    assert "2 policies served the log" in check["loggers"].found
    calm = check_log(log.take(slice(3, n)), time=(day * 86_400.0)[3:])
    assert calm["value per day"].level.name == "WARN"
    assert calm["entropy per day"].level.name == "PASS"


def test_every_report_carries_the_doctor_and_a_failed_log_is_not_judged() -> None:
    log = sessions_log()
    assert evaluate(log, target(log), horizon="one_step").log_check is not None
    w = clean(0, 4000)
    w.propensity[:] = np.maximum(w.propensity.round(2), 0.01)
    ill = examine(w)
    verdict = decide(GOOD, diagnose(even()), log_check=ill)
    assert (verdict.outcome, verdict.step) == (Outcome.UNDECIDED, "propensities")
    assert "structure" in verdict.reason


def test_a_target_whose_distribution_is_known_is_tested_with_the_exact_error() -> None:
    """Three rows by hand: the variance of w is sum e^2 / p - 1 = 1.08, 0 and 1/3."""
    log = LoggedDataset.from_columns(
        session=np.arange(3), step=np.zeros(3), slate=[0, 1, 0], propensity=[0.5, 0.5, 0.25],
        reward=np.ones(3), n_items=3, candidates=[[0, 1, 2], [1, 0, -1], [0, 2, -1]],
        candidate_propensity=[[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0.25, 0.75, 0]],
    )  # fmt: skip
    slates = np.array([[0, 1, 2], [0, 1, -1], [2, 0, -1]], np.int32)[:, :, None]
    share = np.array([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])
    known = TargetScores(np.array([0.2, 0.5, 0.5]), slates=slates, slate_weight=share)
    np.testing.assert_allclose(known_variance(log, known), [1.08, 0, 1 / 3], atol=1e-12)  # type: ignore[arg-type]
    unsupported = TargetScores(
        np.array([0.2, 0.5, 0.5]), slates=np.where(slates == -1, 2, slates),
        slate_weight=np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25], [0.5, 0.5, 0.0]]),
    )  # fmt: skip
    assert known_variance(log, unsupported) is None
    assert known_variance(log, TargetScores(np.array([0.2, 0.5, 0.5]))) is None


def test_a_table_does_not_vouch_for_propensities_that_are_not_its_own() -> None:
    """Rounding sits in the rarest rows: seen by the mean weight, not by its standardised rows."""
    assert flag_rates("p rounded to 2 decimals", 3, first_seed=100)["T1"] >= 2 / 3


def test_the_former_name_of_fix_still_reads_and_warns() -> None:
    finding = Finding("a check", Level.WARN, "2 rows", "a rule", "drop them")
    with pytest.warns(DeprecationWarning, match=r"now Finding\.fix"):
        assert finding.mend == "drop them"
