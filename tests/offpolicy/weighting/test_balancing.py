"""Balancing weights and robust models: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import (
    LogError,
    LoggedDataset,
    TargetScores,
    balanced_terms,
    estimate,
    evaluate,
    interval,
    opera,
    terms,
)
from offpolicy.errors import NoOverlapError
from offpolicy.estimators.engine import Estimate
from offpolicy.models.features import shown
from offpolicy.models.reward_model import predict_rewards
from offpolicy.models.ridge import CrossFit

TARGET = np.array([0.6, 0.3, 0.1])


def arms(n: int = 3000, seed: int = 0, told: bool = True) -> tuple[LoggedDataset, TargetScores]:
    """Three arms served by (.2, .3, .5); the propensities are logged wrong unless `told`."""
    rng = np.random.default_rng(seed)
    p = np.array([0.2, 0.3, 0.5])
    arm = rng.choice(3, n, p=p)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=arm,
        propensity=p[arm] if told else np.full(n, 0.9),
        reward=(rng.random(n) < np.array([0.8, 0.5, 0.1])[arm]).astype(float), n_items=3,
    )  # fmt: skip
    every = np.tile(np.arange(3, dtype=np.int32)[:, None], (n, 1, 1))
    return log, TargetScores(TARGET[arm], slates=every, slate_weight=np.tile(TARGET, (n, 1)))


def test_balancing_recovers_the_ratio_without_reading_propensities() -> None:
    """With an indicator per arm the classifier's odds are target share over share in the log."""
    log, scores = arms(told=False)
    t = balanced_terms(log, scores)
    seen = np.bincount(log.slate[:, 0], minlength=3) / len(log)
    for arm in range(3):
        own = t.weight[log.slate[:, 0] == arm]
        np.testing.assert_allclose(own, TARGET[arm] / seen[arm], rtol=0.06)  # folds differ
    means = [log.reward[log.slate[:, 0] == arm].mean() for arm in range(3)]
    assert estimate(t, "snips").value == pytest.approx(TARGET @ means, abs=0.005)
    with pytest.raises(LogError, match="need slates"):
        balanced_terms(log, TargetScores(scores.propensity))


def test_weighted_ridge_is_scikit_learns() -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    dense = np.column_stack([np.ones(60), rng.random((60, 2))])
    slates = shown(rng.integers(0, 4, (60, 1)).astype(np.int32), 4, rng.random((4, 2)))
    fold, weight, y = np.arange(60) % 2, rng.random(60) * 3, rng.random(60)
    fit = CrossFit(dense, slates, fold, ridge=2.0, weight=weight)
    found = fit.predict(fit.fit(y), slates)
    cross = (slates.z[:, :, None] * dense[:, None, :]).reshape(60, -1)
    x = np.concatenate([dense[:, 1:], slates.z, cross, slates.counts.toarray()], axis=1)
    for k in range(2):
        seen, held = fold != k, fold == k
        twin = Ridge(alpha=2.0).fit(x[seen], y[seen], weight[seen])
        np.testing.assert_allclose(found[held], twin.predict(x[held]), atol=1e-4)


def test_a_robust_model_lowers_the_variance_of_dr_where_the_model_is_wrong() -> None:
    """One slope for all states, steep where the logger seldom does what the target wants."""
    rng = np.random.default_rng(1)
    n = 20_000
    x = rng.normal(size=(n, 1))
    p1 = np.where(x[:, 0] > 1, 0.02, 0.5)
    arm = (rng.random(n) < p1).astype(int)
    reward = arm * np.where(x[:, 0] > 1, 4.0, -x[:, 0]) + rng.normal(0, 0.1, n)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=arm, propensity=np.where(arm, p1, 1 - p1),
        reward=reward, n_items=2, context=x,
    )  # fmt: skip
    scores = TargetScores(arm.astype(float), slates=np.ones((n, 1, 1), np.int32))
    error = {}
    for robust in (False, True):
        q = predict_rewards(log, scores, horizon="one_step", item_features=np.eye(2), robust=robust)
        error[robust] = estimate(terms(log, scores, horizon="one_step", model=q), "dr").psi.std()
    assert error[True] < 0.8 * error[False]
    report = evaluate(log, scores, horizon="one_step", model="robust", item_features=np.eye(2))
    truth = float((np.where(x[:, 0] > 1, 4.0, -x[:, 0])).mean())
    assert report["dr"].value.low < truth < report["dr"].value.high


def test_robust_weights_are_refused_where_they_mean_nothing() -> None:
    log, scores = arms(60)
    with pytest.raises(ValueError, match="of one decision"):
        predict_rewards(log, scores, horizon="per_decision", robust=True)
    never = TargetScores(np.zeros(60), slates=scores.slates, slate_weight=scores.slate_weight)
    with pytest.raises(NoOverlapError, match="never serves"):
        predict_rewards(log, never, horizon="one_step", robust=True)


def test_opera_is_the_inverse_variance_mean_of_estimates_that_agree() -> None:
    """Influences at right angles with lengths 1 and 2: weights 4/5 and 1/5. The first has the least
    error and no name: its interval stands."""
    unit = np.arange(4)
    a = Estimate(1.0, np.array([1.0, -1.0, 0.0, 0.0]), unit)
    b = Estimate(1.0, np.array([0.0, 0.0, 2.0, -2.0]), unit)
    mixture, weight = opera([a, b])
    np.testing.assert_allclose(weight, [0.8, 0.2], atol=1e-6)
    assert mixture.value == pytest.approx(1)
    assert interval(mixture).low == pytest.approx(interval(a).low)
    same, _ = opera([a, a])
    assert same.value == pytest.approx(1.0)
    with pytest.raises(ValueError, match="different units"):
        opera([a, Estimate(1.0, np.zeros(3), np.arange(3))])


def test_opera_sees_the_bias_of_a_part_and_never_extrapolates() -> None:
    """The direct method does not vary and is off by ten standard errors of dr. By hand: with the
    gap g less .1257 standard errors, weight v / (v + g^2) goes to it, v the variance of dr."""
    unit, noise = np.arange(400), np.tile([2.0, -2.0], 200)  # standard error .1
    dm = Estimate(0.0, np.zeros(400), unit, name="dm")
    dr = Estimate(1.0, noise, unit, name="dr")
    mixture, weight = opera([dm, dr])
    v, g = 0.01, 1 - 0.1257 * interval(dr).se
    assert weight[0] == pytest.approx(v / (v + g**2), rel=1e-4)
    assert weight.min() >= 0
    i = interval(mixture)
    assert i.low < mixture.value < 1 < i.high
    assert i.high == pytest.approx(interval(dr).high)
    assert i.low == pytest.approx(interval(dr).low - weight[0], rel=1e-4)
    with pytest.raises(ValueError, match="dm: all are biased"):
        opera([dm])
