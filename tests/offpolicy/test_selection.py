"""Settings and estimators chosen by evidence."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import Interval, LoggedDataset, Terms
from offpolicy.redraw import score_estimators
from offpolicy.selection import choose_setting, cross_validate, pas_if, slope
from tests.offpolicy.estimators.test_contract import uneven_sessions


def around(value: float, reach: float) -> Interval:
    return Interval(value, value - reach, value + reach, reach / 2, 0.95, 100)


def test_slope_by_hand() -> None:
    """Widest first; 1.0 +- .1 disagrees with 2.0 +- .5: .1 + 1.449 * .5 = .82 < 1."""
    assert slope([around(2.0, 0.5), around(2.1, 0.3), around(1.0, 0.1)]) == 1
    assert slope([around(1.0, 0.1), around(2.0, 0.5)]) == 1
    assert slope([around(2.0, 0.5), around(1.9, 0.1)]) == 1


def heavy(n: int, seed: int, spread: float) -> Terms:
    rng = np.random.default_rng(seed)
    w = np.exp(spread * rng.standard_normal(n) - spread**2 / 2)
    reward = (rng.random(n) < 0.3 + 0.2 * (w > 1)).astype(float)
    q = np.where(w > 1, 0.45, 0.35)
    return Terms(w, reward, q, np.full(n, 0.42), np.arange(n))


def test_the_chosen_cap_follows_the_log_and_nothing_is_remembered() -> None:
    grid = (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
    light = heavy(20_000, 0, 0.5)
    small = heavy(100, 1, 2.0)
    first = choose_setting(small, "clipped_ips", "cap", grid)
    assert choose_setting(light, "clipped_ips", "cap", grid) >= 3.0
    assert choose_setting(small, "clipped_ips", "cap", grid) == first
    assert first < 1000


def test_cross_validation_prefers_the_estimator_that_errs_less() -> None:
    wins = 0
    for seed in range(10):
        t = heavy(800, seed, 1.5)
        wins += cross_validate(t, ["ips", "snips"], validator="dr", seed=seed).best == "snips"
    assert wins >= 7
    sessions = cross_validate(uneven_sessions(1, 60), ["pdis", "snpdis"], validator="pdis")
    assert set(sessions.score) == {"pdis", "snpdis"}


def logged(n: int, seed: int) -> tuple[LoggedDataset, Terms]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    logits = np.column_stack([x[:, 0], -x[:, 0], x[:, 1], 0 * x[:, 0]])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    e = np.exp(-logits) / np.exp(-logits).sum(1, keepdims=True)
    a = (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(max=3)
    mean = 0.2 + 0.15 * a
    reward = (rng.random(n) < mean).astype(float)
    every = np.arange(n)
    log = LoggedDataset.from_columns(
        session=every, step=np.zeros(n), slate=a, propensity=p[every, a], reward=reward, n_items=4,
        context=x, candidate_propensity=p,
    )  # fmt: skip
    t = Terms(e[every, a] / p[every, a], reward, mean, e @ (0.2 + 0.15 * np.arange(4)), every)
    return log, t


def test_pas_if_prefers_a_right_doubly_robust_estimator_to_heavy_weights() -> None:
    wins = 0
    for seed in range(10):
        log, t = logged(2000, seed)
        wins += pas_if(log, t, ["ips", "dr"], seed=seed).best == "dr"
    assert wins >= 8
    with pytest.raises(ValueError, match="one decision"):
        pas_if(log, uneven_sessions(), ["pdis"])


def test_redrawn_logs_know_their_truth() -> None:
    log, _ = logged(3000, 0)
    scored, share = score_estimators(log, ["ips", "snips", "dm", "dr"], tilt=1.0, redraws=60)
    by_name = {s.estimator: s for s in scored}
    assert abs(by_name["ips"].bias) < 4.5 * by_name["ips"].rmse / np.sqrt(60)
    assert by_name["dr"].coverage >= 0.85
    assert by_name["dr"].rmse < by_name["ips"].rmse
    assert 0 < share < 1
    assert scored[0].rmse == min(s.rmse for s in scored)


def test_logs_without_the_full_distribution_are_redrawn_by_rows() -> None:
    log, _ = logged(1500, 1)
    bare = LoggedDataset.from_columns(
        session=log.session, step=log.step, slate=log.slate, propensity=log.propensity,
        reward=log.reward, n_items=4,
    )  # fmt: skip
    scored, _ = score_estimators(bare, ["ips", "snips"], redraws=60)
    for s in scored:
        assert abs(s.bias) < 4.5 * s.rmse / np.sqrt(60) + 0.01
