"""Reward models: cross-fitted, exact where the truth is linear, expectation under the target."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, predict_rewards
from offpolicy.models.features import expected, shown
from offpolicy.models.reward_model import assign_folds, next_rows
from offpolicy.models.ridge import CrossFit


def linear_log(n: int = 3000, seed: int = 0) -> tuple[LoggedDataset, np.ndarray, np.ndarray]:
    """Slates of 2 of 6 items; reward = item worths + context . item features, no noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(6, 2))
    worth = rng.normal(size=6)
    slate = np.array([rng.choice(6, 2, replace=False) for _ in range(n)])
    context = rng.normal(size=(n, 2)).astype(np.float32)
    reward = worth[slate].sum(1) + (context * features[slate].sum(1)).sum(1)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=slate, propensity=np.full(n, 1 / 30),
        reward=reward, n_items=6, context=context,
    )  # fmt: skip
    return log, features, worth


def test_a_linear_world_is_learned_exactly() -> None:
    log, features, worth = linear_log()
    slates = np.tile(np.array([[4, 5], [0, 1]], np.int32), (len(log), 1, 1))
    found = predict_rewards(
        log, TargetScores(np.full(len(log), 0.1), slates=slates), horizon="one_step",
        item_features=features, ridge=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(found.q_logged, log.reward, atol=1e-3)
    assert log.context is not None
    per = worth + log.context @ features.T
    np.testing.assert_allclose(found.v_target, per[:, [4, 5, 0, 1]].sum(1) / 2, atol=1e-3)


def test_no_row_is_spoken_about_by_a_model_that_saw_its_unit() -> None:
    """Rewards that are pure noise per unit: a model that saw them would predict them."""
    rng = np.random.default_rng(0)
    n = 400
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=np.zeros(n), propensity=np.ones(n),
        reward=rng.normal(size=n), n_items=2, context=rng.normal(size=(n, 100)),
    )  # fmt: skip
    scores = TargetScores(np.ones(n), slates=np.zeros((n, 1, 1), np.int32))
    q = predict_rewards(log, scores, horizon="one_step", ridge=1.0).q_logged
    assert np.corrcoef(q, log.reward)[0, 1] < 0.1


def test_folds_keep_units_whole_and_even() -> None:
    unit = np.repeat(np.arange(30), 4)
    fold = assign_folds(unit, 3, 0)
    assert all(len(set(fold[unit == u])) == 1 for u in range(30))
    assert np.bincount(fold).tolist() == [40, 40, 40]
    with pytest.raises(ValueError, match="there are 2 units"):
        assign_folds(np.array([0, 0, 1]), 3, 0)


def test_the_solve_is_the_ridge_regression_of_a_dense_twin() -> None:
    rng = np.random.default_rng(3)
    n, table = 90, rng.normal(size=(5, 2))
    dense = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    logged = shown(rng.integers(0, 5, (n, 1)).astype(np.int32), 5, table)
    fold, y = np.arange(n) % 3, rng.normal(size=n)
    fit = CrossFit(dense, logged, fold, ridge=2.0)
    cross = (logged.z[:, :, None] * dense[:, None, :]).reshape(n, -1)
    x = np.concatenate([dense, logged.z, cross, logged.counts.toarray()], axis=1)
    penalty = np.diag([2e-6] + [2.0] * (x.shape[1] - 1))
    want = np.empty(n)
    for k in range(3):
        seen = fold != k
        theta = np.linalg.solve(x[seen].T @ x[seen] + penalty, x[seen].T @ y[seen])
        want[~seen] = x[~seen] @ theta
    np.testing.assert_allclose(fit.predict(fit.fit(y), logged), want, atol=1e-8)


def test_draws_are_averaged_and_weighted() -> None:
    slates = np.array([[[0, 1], [0, -1]]], np.int32)
    assert expected(slates, None, 3, None).counts.toarray().tolist() == [[1.0, 0.5, 0.0]]
    weight = np.array([[0.25, 0.75]])
    assert expected(slates, weight, 3, None).counts.toarray().tolist() == [[1.0, 0.25, 0.0]]


def test_fitted_q_evaluation_averages_over_the_target_not_the_best_action() -> None:
    """Item 1 pays 1, item 0 pays 0, three steps, the target draws item 1 with probability .3: the
    value is .9; a greedy backup would say 3."""
    rng = np.random.default_rng(0)
    n, steps = 600, 3
    item = rng.integers(0, 2, n * steps)
    log = LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), steps), step=np.tile(np.arange(steps), n), slate=item,
        propensity=np.full(n * steps, 0.5), reward=item.astype(float), n_items=2,
        terminated=np.tile([False, False, True], n),
    )  # fmt: skip
    slates = np.tile(np.array([[0], [1]], np.int32), (len(log), 1, 1))
    weight = np.tile([0.7, 0.3], (len(log), 1))
    scores = TargetScores(np.where(item == 1, 0.3, 0.7), slates=slates, slate_weight=weight)
    found = predict_rewards(log, scores, horizon="per_decision", ridge=1e-3)
    for t, truth in enumerate((0.9, 0.6, 0.3)):
        np.testing.assert_allclose(found.v_target[log.step == t], truth, atol=0.02)
    gone = predict_rewards(log, scores, horizon="per_decision", ridge=1e-3, gamma=0.5)
    np.testing.assert_allclose(gone.v_target[log.step == 0], 0.3 * 1.75, atol=0.02)


def test_next_rows_follow_sessions() -> None:
    log = LoggedDataset.from_columns(
        session=[1, 2, 1, 1], step=[0, 0, 1, 2], slate=[0] * 4, propensity=[1] * 4, reward=[0] * 4,
        n_items=1,
    )  # fmt: skip
    assert next_rows(log).tolist() == [2, -1, 3, -1]


def test_a_model_without_slates_is_refused() -> None:
    log, _, _ = linear_log(10)
    with pytest.raises(LogError, match="needs slates that the target policy would show"):
        predict_rewards(log, TargetScores(np.full(10, 0.5)), horizon="one_step")
