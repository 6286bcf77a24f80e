"""Regressions from sums: against dense matrices, and how far effects are shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from policies.improve.shrinkage import fit_items, ridge_by_gcv, shrink, standard
from policies.improve.sums import Sums, by_group


def test_slopes_and_effects_are_those_of_dense_matrices() -> None:
    """At the penalties it ends with, and the prior means of its covariates: an indicator of each
    item beside the features, in one penalised least-squares problem."""
    rng = np.random.default_rng(0)
    n, items = 3000, 40
    item = rng.integers(0, items, n)
    quality = rng.normal(size=items)
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2)) + 0.3 * quality[item, None]])
    true = 0.8 * quality + 0.3 * rng.normal(size=items)
    y = x @ [1.0, 0.5, -0.5] + true[item] + rng.normal(size=n)
    fit = fit_items(Sums.of(item, x, y[:, None], items), quality[:, None])
    z = np.column_stack([np.ones(items), standard(quality[:, None], np.ones(items, bool))])
    onehot = np.eye(items)[item]
    beta = np.linalg.lstsq(z, fit.effect)[0]
    prior = z @ beta
    penalty = fit.noise / fit.spread
    left = np.block([[x.T @ x, x.T @ onehot], [onehot.T @ x, onehot.T @ onehot]])
    left[3:, 3:] += penalty * np.eye(items)
    rest = y - prior[item]
    dense = np.linalg.solve(left, np.concatenate([x.T @ rest, onehot.T @ rest]))
    np.testing.assert_allclose(fit.slopes[1:], dense[1:3], atol=2e-3)
    level = fit.slopes[0] + fit.effect
    np.testing.assert_allclose(level, dense[0] + prior + dense[3:], atol=2e-2)
    assert fit.noise == pytest.approx(1.0, abs=0.06)
    assert fit.spread == pytest.approx(0.09, abs=0.06)
    np.testing.assert_allclose(fit.effect - fit.effect.mean(), true - true.mean(), atol=0.45)


def test_what_is_noise_is_shrunk_away_and_what_is_not_is_kept() -> None:
    rng = np.random.default_rng(1)
    seen = np.ones(400, bool)
    none = np.zeros((400, 0))
    noise = rng.normal(size=400)
    _, effect, spread = shrink(noise, np.ones(400), none, seen)
    assert spread < 0.15
    assert np.abs(effect).max() < 0.5
    true = 3 * rng.normal(size=400)
    _, effect, spread = shrink(true + noise, np.ones(400), none, seen)
    assert spread == pytest.approx(9.0, rel=0.2)
    kept = np.polyfit(true + noise, effect, 1)[0]
    assert kept == pytest.approx(spread / (spread + 1), abs=0.01)


def test_items_never_seen_get_what_their_covariates_say() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=(300, 4))
    seen = np.arange(300) < 250
    raw = np.where(seen, 2 * z[:, 0] + 0.1 * rng.normal(size=300), 0.0)
    prior, effect, _ = shrink(raw, np.full(300, 0.01), z, seen)
    np.testing.assert_allclose(effect[~seen], 2 * z[~seen, 0], atol=0.2)
    np.testing.assert_array_equal(effect[~seen], prior[~seen])
    irrelevant = shrink(raw, np.full(300, 0.01), np.zeros((300, 0)), seen)[1]
    assert np.ptp(irrelevant[~seen]) == 0


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
