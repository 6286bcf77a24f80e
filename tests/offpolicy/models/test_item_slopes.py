"""Items' own slopes: ridge regressions of the penalty that the log asks for, none where it shows
none."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LoggedDataset, TargetScores, estimate, predict_rewards, terms
from offpolicy.models.features import shown
from offpolicy.models.item_slopes import PLUG_IN, ItemSlopes, product
from offpolicy.models.reward_model import RewardData


def made(
    n: int, items: int, tau: float, *, size: int = 1, seed: int = 0
) -> tuple[ItemSlopes, np.ndarray, np.ndarray]:
    """Slopes (items, 3) of deviation tau, rewards with noise of deviation 1, and their design."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    slate = np.stack([rng.permutation(items)[:size] for _ in range(n)]).astype(np.int32)
    logged = shown(slate, items, None)
    delta = tau * rng.normal(size=(items, 3))
    y = product(logged.counts, delta, x) + rng.normal(size=n)
    slopes = ItemSlopes(x, logged, np.arange(n) % 3, least=0.01)
    design = (logged.counts.toarray()[:, :, None] * x[:, None, :]).reshape(n, -1)
    return slopes, y, design


@pytest.mark.parametrize("size", [1, 2])
def test_the_slopes_are_the_ridge_regression_of_a_dense_twin(size: int) -> None:
    """Items alone on their rows, and items that share them."""
    slopes, y, design = made(600, 5, 1.0, size=size)
    for k in range(3):
        seen = slopes.fold != k
        e = np.where(seen, y, 0.0)
        moments = (slopes._sums @ (slopes.state * e[:, None])).reshape(3, 5, 3)
        penalty = slopes.penalty(k, e, moments)
        x = design[seen]
        twin = np.linalg.solve(x.T @ x + penalty * np.eye(15), x.T @ y[seen])
        np.testing.assert_allclose(slopes.fit(k, y).ravel(), twin, atol=2e-3)


def test_the_penalty_is_a_share_of_noise_over_the_variance_of_slopes() -> None:
    slopes, y, _ = made(12_000, 60, 0.5)
    e = np.where(slopes.fold != 0, y, 0.0)
    moments = (slopes._sums @ (slopes.state * e[:, None])).reshape(3, 60, 3)
    assert slopes.penalty(0, e, moments) == pytest.approx(PLUG_IN * 1 / 0.25, rel=0.35)


def test_items_that_do_not_differ_are_predicted_by_the_shared_model() -> None:
    """Of pure noise at most a few are thought to differ, and those by less than the noise."""
    sizes = []
    for seed in range(20):
        slopes, y, _ = made(600, 6, 0.0, seed=seed)
        sizes.append(np.abs(slopes.fit(0, y)).max())
    assert np.mean(np.array(sizes) == 0) > 0.6
    assert max(sizes) < 0.3


def test_noise_of_one_unit_is_no_difference_between_items() -> None:
    """Each unit shows one item 20 times and has a slope of its own: its rows agree with each other
    and say nothing of the item."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(90), 20)
        x = np.column_stack([np.ones(1800), rng.normal(size=1800)])
        item = (unit % 10).astype(np.int32)[:, None]
        y = rng.normal(size=90)[unit] * x[:, 1]
        slopes = ItemSlopes(x, shown(item, 10, None), unit // 10 % 3, least=0.01)
        found.append(bool(slopes.fit(0, y).any()))
    assert np.mean(found) < 0.4


def ten_arms(seed: int, n: int = 3000) -> tuple[LoggedDataset, TargetScores, float]:
    """What pays depends on item and context together; the target knows it, the logger does not."""
    rng = np.random.default_rng([5, seed])
    theta = np.random.default_rng(1).normal(size=(4, 10))
    x = rng.normal(size=(n, 4))
    mean = x @ theta / 2
    target = np.exp(2 * mean)
    target /= target.sum(1, keepdims=True)
    item = rng.integers(0, 10, n)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n), slate=item, propensity=np.full(n, 0.1),
        reward=mean[np.arange(n), item] + rng.normal(size=n), n_items=10, context=x,
    )  # fmt: skip
    every = np.broadcast_to(np.arange(10, dtype=np.int32)[:, None], (n, 10, 1))
    scores = TargetScores(target[np.arange(n), item], slates=every, slate_weight=target)
    return log, scores, float((target * mean).sum(1).mean())


def test_the_default_model_learns_what_an_item_is_worth_to_whom() -> None:
    """Without products of item and context the direct method knows nothing of the gain."""
    new, old = [], []
    for seed in range(8):
        log, scores, truth = ten_arms(seed)
        found = predict_rewards(log, scores, horizon="one_step")
        data = RewardData(log)
        data.crossed = 0
        before = data.predict(scores, horizon="one_step")
        for model, errors in ((found, new), (before, old)):
            t = terms(log, scores, horizon="one_step", model=model)
            errors.append([estimate(t, n).value - truth for n in ("dm", "dr")])
    rmse_new, rmse_old = (np.sqrt(np.mean(np.square(e), axis=0)) for e in (new, old))
    assert rmse_new[0] < 0.2 * rmse_old[0]
    assert rmse_new[1] < 0.75 * rmse_old[1]
