"""The distribution of outcomes under the target, and propensities that are estimated."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LoggedDataset, Terms, evaluate, interval, terms
from offpolicy.intervals.distribution import outcome_distribution
from offpolicy.weighting.propensities import estimate_propensity
from tests.offpolicy.factories import sessions_log, target


def test_by_hand() -> None:
    d = outcome_distribution(
        Terms([1.0, 3.0, 0.0, 1.0], [4.0, 1.0, 9.0, 2.0], None, None, np.arange(4))
    )
    assert d.cdf(1).value == pytest.approx(0.6)
    assert d.cdf(3).value == pytest.approx(0.8)
    assert d.quantile(0.6) == 1
    assert d.quantile(0.61) == 2
    assert d.mean().value == pytest.approx((3 + 2 + 4) / 5)
    assert d.cvar(0.8).value == pytest.approx((0.6 * 1 + 0.2 * 2) / 0.8)
    assert d.variance().value == pytest.approx((3 * 0.64 + 0.04 + 4.84) / 5)


def test_intervals_cover() -> None:
    """Uniform outcomes on (0, 1), target tilts towards high ones: density 2x."""
    hits = {"cdf": 0, "quantile": 0, "cvar": 0, "variance": 0}
    for seed in range(200):
        x = np.random.default_rng(seed).random(500)
        d = outcome_distribution(Terms(2 * x, x, None, None, np.arange(500)))
        i = interval(d.cdf(0.5))
        hits["cdf"] += i.low <= 0.25 <= i.high
        i = d.quantile_interval(0.25)
        hits["quantile"] += i.low <= 0.5 <= i.high
        i = interval(d.cvar(0.25))
        hits["cvar"] += i.low <= 1 / 3 <= i.high
        i = interval(d.variance())
        hits["variance"] += i.low <= 1 / 18 <= i.high
    for name, n in hits.items():
        assert 0.9 <= n / 200 <= 0.99, name


def test_returns_of_sessions_need_trajectory_weights() -> None:
    log = sessions_log(500)
    whole = outcome_distribution(terms(log, target(log), horizon="trajectory"))
    assert whole.mean().value == pytest.approx(1.86, abs=0.2)
    with pytest.raises(ValueError, match="trajectory"):
        outcome_distribution(terms(log, target(log), horizon="per_decision"))


def test_estimated_propensities_are_calibrated_and_marked() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    x = rng.normal(size=(n, 1))
    logits = np.column_stack([np.zeros(n), x[:, 0], -x[:, 0]])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    a = (rng.random((n, 1)) > p.cumsum(1)).sum(1)
    fit = estimate_propensity(a, x, n_items=3)
    np.testing.assert_allclose(fit.table, p, atol=0.08)
    np.testing.assert_allclose(fit.table.sum(1), 1)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=a, propensity=fit.propensity,
        reward=(a == 1).astype(float), n_items=3,
    ).with_estimated_propensities()  # fmt: skip
    report = evaluate(log.take(slice(0, 2000)), np.full(2000, 1 / 3), horizon="one_step")
    assert any("ESTIMATED" in note for note in report.notes)
    with pytest.raises(ValueError, match="must be logged at least 6 times"):
        estimate_propensity([0, 1], [[1.0], [2.0]], n_items=2)
