"""Regressions from sums: against dense matrices, and how far effects are shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from policies.improve.shrinkage import fit_items, ridge_by_gcv, standard
from policies.improve.sums import Sums, by_group


def test_slopes_and_effects_are_those_of_dense_matrices() -> None:
    """Marginally, rows of an item share its effect: generalised least squares with the variances
    that were found gives the same slopes, and the mean of the effects given the rows is Bayes'."""
    rng = np.random.default_rng(0)
    n, items = 1200, 30
    item = rng.integers(0, items, n)
    quality = rng.normal(size=items)
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2)) + 0.3 * quality[item, None]])
    true = 0.8 * quality + 0.3 * rng.normal(size=items)
    y = x @ [1.0, 0.5, -0.5] + true[item] + rng.normal(size=n)
    fit = fit_items(Sums.of(item, x, y[:, None], items), quality[:, None])
    z = standard(quality[:, None], np.ones(items, bool))
    design = np.column_stack([x, z[item]])
    onehot = np.eye(items)[item]
    precision = np.linalg.inv(fit.noise * np.eye(n) + fit.spread * onehot @ onehot.T)
    dense = np.linalg.solve(design.T @ precision @ design, design.T @ precision @ y)
    np.testing.assert_allclose(fit.slopes, dense[:3], atol=0.01)  # these are shrunk a little
    effect = z[:, 0] * dense[3] + fit.spread * onehot.T @ precision @ (y - design @ dense)
    np.testing.assert_allclose(fit.effect, effect, atol=0.01)
    assert fit.noise == pytest.approx(1.0, abs=0.08)
    assert fit.spread == pytest.approx(0.09, abs=0.06)


def noisy(spread: float, rows: int = 10) -> tuple[np.ndarray, np.ndarray, float]:
    """True effects and those found, of 300 items with a few rows each of noise 1, and tau^2."""
    rng = np.random.default_rng(1)
    item = np.repeat(np.arange(300), rows)
    true = spread * rng.normal(size=300)
    y = true[item] + rng.normal(size=len(item))
    fit = fit_items(Sums.of(item, np.ones((len(item), 1)), y[:, None], 300), np.zeros((300, 0)))
    return true, fit.effect, fit.spread


def test_what_is_noise_is_shrunk_away_and_what_is_not_is_kept() -> None:
    _, effect, tau2 = noisy(0.0)
    assert tau2 < 0.02
    assert np.abs(effect).max() < 0.2, "means of 10 rows lie within 1 of 0"
    true, effect, tau2 = noisy(3.0)
    assert tau2 == pytest.approx(9.0, rel=0.2)
    np.testing.assert_allclose(effect, true, atol=1.3)


def test_items_never_seen_get_what_their_covariates_say() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=(300, 4))
    item = np.repeat(np.arange(250), 4)
    y = 5.0 + 2 * z[item, 0] + 0.1 * rng.normal(size=len(item))
    sums = Sums.of(item, np.ones((len(item), 1)), y[:, None], 300)
    fit = fit_items(sums, z)
    mean = 2 * z[:250, 0].mean()
    np.testing.assert_allclose(fit.effect[250:], 2 * z[250:, 0] - mean, atol=0.1)
    assert np.ptp(fit_items(sums, np.zeros((300, 0))).effect[250:]) == 0


def test_a_policy_that_shows_good_items_does_not_pass_for_better_days() -> None:
    """Two logging policies with a level each; the second shows the upper half of items alone."""
    rng = np.random.default_rng(3)
    quality = rng.normal(size=60)
    good = np.argsort(quality)[30:]
    item = np.concatenate([rng.integers(0, 60, 3000), rng.choice(good, 6000)])
    second = np.arange(9000) >= 3000
    y = quality[item] + 2.0 * second + 3 * rng.normal(size=9000)
    x = np.column_stack([np.ones(9000), ~second, second])
    fit = fit_items(Sums.of(item, x, y[:, None], 60), quality[:, None])
    assert fit.slopes[2] - fit.slopes[1] == pytest.approx(2.0, abs=0.3)


def test_columns_that_repeat_each_other_and_outcomes_without_noise_are_no_trouble() -> None:
    rng = np.random.default_rng(5)
    item = np.repeat(np.arange(20), 30)
    one = rng.normal(size=600)
    x = np.column_stack([np.ones(600), one, one, 1e6 * one, np.zeros(600)])
    y = 2.0 + item / 10.0
    fit = fit_items(Sums.of(item, x, y[:, None], 20), np.zeros((20, 0)))
    np.testing.assert_allclose(fit.slopes[0] + fit.effect, 2.0 + np.arange(20) / 10, atol=1e-3)
    np.testing.assert_allclose(x[:, 1:] @ fit.slopes[1:], 0.0, atol=1e-3)
    z = np.column_stack([np.arange(20.0), np.arange(20.0)])
    again = fit_items(Sums.of(item, x, y[:, None], 20), z, free=0)
    assert np.isfinite(again.effect).all()


def test_the_penalty_grows_with_the_noise_and_the_constant_is_free() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 20))])
    signal = x[:, 1] * 3
    for y, most, least in ((signal, 0.05, 2.9), (10 * rng.normal(size=60), 1.5, 0.0)):
        target = y + 1000.0
        slopes = ridge_by_gcv(x.T @ x, x.T @ target, float(target @ target), 60.0)
        assert np.abs(slopes[2:]).max() < most
        assert abs(slopes[1]) >= least
        assert slopes[0] + x[:, 1:].mean(axis=0) @ slopes[1:] == pytest.approx(target.mean())


def test_sums_add_and_move() -> None:
    rng = np.random.default_rng(4)
    item, x, y = rng.integers(0, 5, 50), rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    whole = Sums.of(item, x, y, 5)
    both = Sums.of(item[:20], x[:20], y[:20], 5).plus(Sums.of(item[20:], x[20:], y[20:], 5))
    for name, value in whole.to_arrays().items():
        np.testing.assert_allclose(getattr(both, name), value, atol=1e-12)
    wide = np.zeros((50, 5))
    wide[:, [0, 3, 4]] = x
    moved = whole.placed(np.array([0, 3, 4]), np.array([1, 0]), 5, 2)
    for name, value in Sums.of(item, wide, y[:, ::-1], 5).to_arrays().items():
        np.testing.assert_allclose(getattr(moved, name), value, atol=1e-12)
    one = Sums.of(item, x, y @ np.array([[2.0], [1.0]]), 5)
    for name, value in one.to_arrays().items():
        np.testing.assert_allclose(getattr(whole.outcome(np.array([2.0, 1.0])), name), value)
    slow = np.stack([x[item == a].sum(axis=0) for a in range(5)])
    np.testing.assert_allclose(by_group(item, x, 5), slow)
    assert by_group(np.zeros(0, int), np.zeros((0, 2)), 3).tolist() == [[0, 0]] * 3
