"""Bandits against their equations, and each on a world whose best item is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import POLICIES, Observation, act
from policies.bandits.arms import ArmsConfig, linear_arms
from policies.bandits.counts import Counts
from policies.bandits.draws import Draws
from policies.bandits.linear import Regressions, means
from policies.bandits.ucb1 import looked_at, upper
from tests.factories import make_observation, make_serving

A, K = 6, 2
SERVING = make_serving(A, slate_size=K, user_size=2)
BANDITS = [
    "epsilon_greedy",
    "ucb1",
    "cascade_ucb1",
    "cascade_linucb",
    "linucb",
    "lints",
    "neural_linear",
]
CONTEXTUAL = ["cascade_linucb", "linucb", "lints", "neural_linear"]


def users(n: int, seed: int) -> Observation:
    """Half of them are of one kind, half of the other."""
    kind = np.random.default_rng(seed).integers(2, size=n)
    return make_observation(np.full((n, 3), -1), user=np.eye(2)[kind])


def taken(obs: Observation, slate: Any, seed: int) -> LoggedDataset:
    """Users look from the top: kind 0 takes item 4 nine times in ten, kind 1 item 2; else 1 in 20.

    Item 5 is taken by both, half of the time: the best for those who know no kinds.
    """
    n = len(obs)
    chance = np.full((n, A), 0.05)
    chance[:, 5] = 0.5
    chance[np.arange(n), np.where(obs.user[:, 0] > 0, 4, 2)] = 0.9
    hit = np.random.default_rng(seed).random((n, K)) < np.take_along_axis(chance, slate, axis=1)
    first = np.where(hit.any(axis=1), hit.argmax(axis=1), -1)
    paid = np.zeros((n, K))
    paid[first >= 0, first[first >= 0]] = 1.0
    return LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, int),
        slate=slate,
        propensity=np.full(n, 0.5),
        position_reward=paid,
        reward=paid.sum(axis=1),
        n_items=A,
        consumed=np.where(first >= 0, slate[np.arange(n), np.maximum(first, 0)], -1),
        responses=np.zeros((n, 1)),
        context=obs.user,
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [(name, {}) for name in BANDITS]
    + [
        ("cascade_linucb", {"arms": "disjoint"}),
        ("linucb", {"arms": "shared"}),
        ("lints", {"arms": "shared"}),
    ],
)
def test_it_finds_what_users_take(name: str, settings: dict[str, Any]) -> None:
    """Twelve delayed batches of its own slates: then the best item leads nearly everywhere."""
    policy = POLICIES[name].load()(SERVING, **settings)
    rng = np.random.default_rng(0)
    for batch in range(12):
        obs = users(200, batch)
        policy.update(taken(obs, act(policy, obs, rng).slate, 100 + batch))
    obs = users(400, 99)
    lead = act(policy, obs, rng).slate[:, 0]
    best = np.where(obs.user[:, 0] > 0, 4, 2) if name in CONTEXTUAL else 5
    good = (lead == best) if name in CONTEXTUAL else np.isin(lead, [5, 4, 2])
    assert good.mean() > 0.85


def test_directions_in_which_items_do_not_differ_say_nothing() -> None:
    """Six items differ in five directions; the sixth would be rounding, divided by its spread."""
    bandit = POLICIES["linucb"].load()(SERVING, arms="shared").score_model
    np.testing.assert_allclose(bandit.arms.items.std(axis=0), [0, 1, 1, 1, 1, 1, 0], atol=1e-9)
    np.testing.assert_array_equal(bandit.arms.items[:, 6], 0.0)


def test_draws_come_from_the_posterior() -> None:
    """Mean theta, covariance width^2 A^-1, within 4 standard errors of 20,000 draws."""
    rng = np.random.default_rng(0)
    one = Regressions.empty(2, 3, 2.0)
    x = rng.normal(size=(30, 3))
    one.add(x, np.tile([[0, 1]], (30, 1)).astype(np.int32), rng.normal(size=(30, 2)))
    n = 20_000
    drawn = one.draws(n, 0.7, rng)
    for arm in range(2):
        covariance = 0.49 * one.inverse[arm]
        error = 4 * np.sqrt(np.diag(covariance) / n)
        assert (np.abs(drawn[:, arm].mean(axis=0) - one.theta[arm]) < error).all()
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        seen = np.cov(drawn[:, arm].T)
        assert (np.abs(seen - covariance) < 4 * scale * np.sqrt(2 / n)).all()


def test_one_batch_equals_many_small_ones() -> None:
    rng = np.random.default_rng(1)
    x, reward = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    arms = rng.integers(-1, 3, size=(40, 2)).astype(np.int32)
    late, soon = Regressions.empty(3, 5, 1.0), Regressions.empty(3, 5, 1.0)
    late.add(x, arms, reward)
    for start in range(0, 40, 7):
        part = slice(start, start + 7)
        soon.add(x[part], arms[part], reward[part])
    np.testing.assert_allclose(late.theta, soon.theta, atol=1e-12)
    np.testing.assert_allclose(late.packed, soon.packed, atol=1e-6)
    np.testing.assert_allclose(means(x, arms, late.theta)[arms < 0], 0)


def test_shared_weights_are_one_regression_on_products() -> None:
    """theta . (1, state) x (1, item), against the closed form on the same rows."""
    arms = linear_arms(SERVING, ArmsConfig(arms="shared", ridge=3.0, rank=2), None)
    obs = users(60, 0)
    slate = np.random.default_rng(2).random((60, A)).argsort(axis=1)[:, :K].astype(np.int32)
    log = taken(obs, slate, 1)
    arms.learn(log)
    x = arms.products(np.repeat(arms.state(obs), K, axis=0), slate.ravel())
    y = log.position_reward
    assert y is not None
    theta = np.linalg.solve(x.T @ x + 3.0 * np.eye(x.shape[1]), x.T @ y.ravel())
    np.testing.assert_allclose(arms.regressions.theta[0], theta, atol=1e-8)
    assert arms.contexts(obs).shape == (60, A)
    assert x.shape[1] == 3 * 3


def test_probabilities_are_shares_of_the_draws() -> None:
    scores = np.array([[[3.0, 2.0, 1.0]], [[3.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]])
    d = Draws(lambda: scores, scores.mean(axis=0), 2)
    assert d.first_place().tolist() == [[0.75, 0.0, 0.25]]
    np.testing.assert_array_equal(d.prefix(np.array([[0, 1]], np.int32)), [[0.75, 0.5]])
    np.testing.assert_array_equal(d.prefix(np.array([[1, 0]], np.int32)), [[0.0, 0.0]])
    assert d.ranking(3).tolist() == [[0, 1, 2]]


def test_upper_bounds_worked_by_hand() -> None:
    # item 0: rewards 1, 1, 0, 0; item 1: 1; item 2 never shown; t = 5, spread = sqrt(.6 - .36)
    items = np.array([0, 0, 0, 0, 1], np.int32)
    counts = Counts.empty(3).plus(items, np.array([1.0, 1.0, 0.0, 0.0, 1.0]))
    spread = np.sqrt(0.24)
    first = 0.5 + 2.0 * spread * np.sqrt(np.log(5) / 4)
    second = 1.0 + 2.0 * spread * np.sqrt(np.log(5) / 1)
    np.testing.assert_allclose(upper(counts, 2.0), [first, second, second + spread])
    np.testing.assert_allclose(counts.mean(5.0), [(2 + 3) / 9, (1 + 3) / 6, 0.6])


def test_a_cascade_says_nothing_of_places_below_the_click() -> None:
    log = taken(users(3, 0), np.array([[0, 1], [5, 4], [3, 2]], np.int32), 0)
    columns = {**log.columns(), "consumed": np.array([1, 5, -1])}
    item, hit = looked_at(LoggedDataset.from_columns(n_items=A, **columns))
    assert item.tolist() == [[0, 1], [5, -1], [3, 2]]
    assert hit.tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]


def test_a_cascade_learns_from_what_was_looked_at_alone() -> None:
    """Own weights of item 4 against the closed form over the rows whose users came to it."""
    obs = users(80, 0)
    slate = np.tile(np.array([5, 4], np.int32), (80, 1))
    log = taken(obs, slate, 1)
    policy = POLICIES["cascade_linucb"].load()(SERVING, arms="disjoint", ridge=2.0, width=0.0)
    policy.update(log)
    assert log.consumed is not None
    came = log.consumed != 5
    assert 10 < came.sum() < 70
    x = np.concatenate([policy.score_model.arms.state(obs), np.ones((80, 1))], axis=1)
    gram = 2.0 * np.eye(x.shape[1]) + x[came].T @ x[came]
    theta = np.linalg.solve(gram, x[came].T @ (log.consumed[came] == 4))
    np.testing.assert_allclose(policy.score_model.scores(obs)[:, 4], x @ theta, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("ucb1", {"width": -1.0}, "at least 0"),
        ("epsilon_greedy", {"prior": -1.0}, "at least 0"),
        ("lints", {"draws": 0}, "draws >= 1"),
        ("lints", {"arms": "joint"}, "'disjoint' or 'shared'"),
        ("neural_linear", {"memory": 0}, "memory >= 1"),
    ],
)
def test_impossible_settings_are_refused(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        POLICIES[name].load()(SERVING, **settings)


@pytest.mark.parametrize("name", ["ucb1", "epsilon_greedy"])
@pytest.mark.parametrize(("scale", "offset"), [(1e-7, 0), (1e6, 0), (1e17, 0), (1, 1e7), (1, 3e8)])
def test_the_order_of_items_does_not_depend_on_the_unit_of_rewards(
    name: str, scale: float, offset: float
) -> None:
    """Item 5 is never shown; what is shown often and what pays are not the same items."""
    rng = np.random.default_rng(1)
    item = rng.choice(A, 900, p=[0.5, 0.3, 0.1, 0.05, 0.05, 0])
    win = (rng.random(900) < np.array([0.1, 0.2, 0.9, 0.4, 0.3, 0])[item]) * 1.0

    def ranked(reward: Any) -> list[int]:
        policy = POLICIES[name].load()(make_serving(A, slate_size=1))
        for rows in np.array_split(np.arange(900), 3):
            policy.update(one_item_log(item[rows], reward[rows]))
        return list(policy.recommend([], k=A).tolist())

    assert ranked(win * scale + offset) == ranked(win)
    if name == "ucb1":
        assert ranked(win * scale + offset)[0] == 5


def one_item_log(item: Any, reward: Any) -> LoggedDataset:
    n = len(item)
    return LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, int),
        slate=item,
        propensity=np.full(n, 1 / A),
        reward=reward,
        position_reward=reward[:, None],
        n_items=A,
        consumed=item,
    )


def test_the_raw_sums_of_version_0_1_are_read() -> None:
    items, reward = np.array([0, 0, 0, 2], np.int32), np.array([1.0, 0.0, 0.5, 3.0])
    total = np.array([1.5, 0.0, 3.0])
    squares = np.array([1.25, 0.0, 9.0])
    old = Counts.from_arrays(
        {"shown": np.array([3.0, 0.0, 1.0]), "total": total, "squares": squares}
    )
    new = Counts.empty(3).plus(items, reward)
    np.testing.assert_allclose(old.mean(2.0), new.mean(2.0))
    assert old.spread() == pytest.approx(new.spread())
