"""Sessions that the log cuts."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, Outcome, TargetScores, evaluate
from offpolicy.weighting.censoring import censoring, first_steps
from tests.offpolicy.factories import sessions_log, target

STEPS, LOGGED, TARGET = 8, 0.3, 0.45  # the target serves more of what pays now and tires later
UPLIFT = sum(0.5 * (TARGET - LOGGED) - 0.2 * (TARGET - LOGGED) * t for t in range(STEPS))  # -.24


def tiring(seed: int, length: np.ndarray) -> tuple[LoggedDataset, TargetScores]:
    """Sessions of STEPS decisions of which only `length` were logged."""
    rng = np.random.default_rng([7, seed])
    a = (rng.random((len(length), STEPS)) < LOGGED).astype(int)
    tired = np.cumsum(a, 1) - a
    r = 0.5 + 0.5 * a - 0.2 * tired + 0.2 * rng.normal(size=a.shape)
    s = np.repeat(np.arange(len(length)), length)
    t = np.concatenate([np.arange(n) for n in length])
    end = t == length[s] - 1
    log = LoggedDataset.from_columns(
        session=s, step=t, slate=a[s, t], propensity=np.where(a[s, t], LOGGED, 1 - LOGGED),
        reward=r[s, t], n_items=2, terminated=end & (t == STEPS - 1),
        truncated=end & (t < STEPS - 1),
    )  # fmt: skip
    return log, TargetScores(np.where(a[s, t], TARGET, 1 - TARGET))


def test_weights_of_whole_sessions_by_hand() -> None:
    """Lengths 1 (cut), 2 (whole), 2 (cut), 3 (whole): of 4 at length 1 one is cut, so 3/4 go on; of
    3 at length 2 one ends, and of the other 2 one is cut: 3/4 x 1/2 are seen beyond 2."""
    session, step = np.array([0, 1, 1, 2, 2, 3, 3, 3]), np.array([0, 0, 1, 0, 1, 0, 1, 2])
    end = np.array([1, 0, 1, 0, 1, 0, 0, 1], bool)
    whole = np.isin(session, [1, 3])
    log = LoggedDataset.from_columns(
        session=session, step=step, slate=np.zeros(8, int), propensity=np.ones(8),
        reward=np.ones(8), n_items=1, terminated=end & whole, truncated=end & ~whole,
    )  # fmt: skip
    cut = censoring(log)
    assert cut is not None
    np.testing.assert_allclose(cut.weight, [0, 4 / 3, 0, 8 / 3])
    assert (cut.cut, cut.sessions, cut.running) == (2, 4, 0)


def test_a_log_that_stops_early_cannot_speak_of_whole_sessions() -> None:
    log, scores = tiring(0, np.full(3000, 3))
    report = evaluate(log, scores, horizon="per_decision", model=None)
    assert (report.verdict.outcome, report.verdict.step) == (Outcome.UNDECIDED, "sessions")
    assert "none shows how 100% of them go on" in report.verdict.reason
    early = evaluate(first_steps(log, 3), scores, horizon="per_decision", model=None)
    assert early.verdict.step == "uplift"  # of the first three decisions it can
    truth = sum(0.5 * (TARGET - LOGGED) - 0.2 * (TARGET - LOGGED) * t for t in range(3))
    assert early["pdis"].uplift.value == pytest.approx(truth, abs=4 * early["pdis"].uplift.se)


def test_sessions_cut_at_random_are_made_up_for() -> None:
    held = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        length = np.where(rng.random(4000) < 0.6, rng.integers(1, STEPS, 4000), STEPS)
        report = evaluate(
            *tiring(seed, length), horizon="per_decision", estimators=["snpdis"], model=None,
            check=False,
        )  # fmt: skip
        uplift = report["snpdis"].uplift
        held += uplift.low < UPLIFT < uplift.high
        assert report.verdict.outcome is not Outcome.PASS
        assert any("whole sessions count for them" in note for note in report.notes)
    assert held >= 10


def test_sessions_that_end_by_design_are_whole() -> None:
    log = sessions_log(50, terminated=None, truncated=np.tile([False, False, True], 50))
    assert censoring(log) is not None
    assert censoring(log.with_max_steps(3)) is None
    assert (
        evaluate(log.with_max_steps(3), target(log), horizon="per_decision", model=None).cut is None
    )
    with pytest.raises(LogError, match=r"step\[2\] = 2, but sessions end after max_steps = 2"):
        log.with_max_steps(2)
