"""LinUCB against its equations, one observation at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import POLICIES, Observation
from policies.bandits.linear import (
    MANY,
    Regressions,
    means,
    sherman_morrison,
    triangles,
    upper_bounds,
)
from policies.bandits.linucb import linucb
from policies.features import place_rewards
from tests.factories import make_serving


def test_rank_one_updates_equal_the_inverse_of_the_summed_matrix() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    slate = rng.integers(-1, 4, size=(50, 2)).astype(np.int32)
    reward = rng.normal(size=(50, 2))
    inverse, moment = np.tile(np.eye(3) / 2.0, (4, 1, 1)), np.zeros((4, 3))
    sherman_morrison(x, slate, reward, inverse, moment)
    for a in range(4):
        rows, places = np.nonzero(slate == a)
        gram = 2.0 * np.eye(3) + x[rows].T @ x[rows]
        np.testing.assert_allclose(inverse[a], np.linalg.inv(gram), atol=1e-10)
        np.testing.assert_allclose(moment[a], x[rows].T @ reward[rows, places], atol=1e-10)


def test_bounds_are_mean_plus_alpha_standard_errors() -> None:
    rng = np.random.default_rng(1)
    x, theta = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    half = rng.normal(size=(4, 3, 3))
    inverse = half @ half.transpose(0, 2, 1)
    columns = np.array([[0, 3], [1, -1], [2, 0], [3, 3], [1, 2]], dtype=np.int32)
    out = np.full((5, 2), np.nan)
    upper_bounds(x, columns, theta, triangles(inverse), 0.7, out)
    for b in range(5):
        for c in range(2):
            a = columns[b, c]
            if a < 0:
                assert out[b, c] == 0
                continue
            expected = theta[a] @ x[b] + 0.7 * np.sqrt(x[b] @ inverse[a] @ x[b])
            assert out[b, c] == pytest.approx(expected, rel=1e-5)


def test_bounds_of_all_arms_are_those_of_each() -> None:
    rng = np.random.default_rng(3)
    seen = Regressions.empty(7, 5, 2.0)
    arms = rng.integers(7, size=(200, 1)).astype(np.int32)
    seen.add(rng.normal(size=(200, 5)), arms, rng.normal(size=(200, 1)))
    x = rng.normal(size=(MANY + 3, 5))  # more than one product of matrices
    each = np.tile(np.arange(7, dtype=np.int32), (len(x), 1))
    slow = x @ seen.theta.T + 0.7 * np.sqrt(np.einsum("bi,aij,bj->ba", x, seen.inverse, x))
    np.testing.assert_allclose(seen.bounds(x, None, 0.7), slow, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen.bounds(x, each, 0.7), slow, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(means(x, None, seen.theta), means(x, each, seen.theta), atol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_arms_that_are_alike_tie_in_every_batch(count: int) -> None:
    one = Regressions.empty(1, 6, 2.0)
    rng = np.random.default_rng(5)
    one.add(rng.normal(size=(20, 6)), np.zeros((20, 1), np.int32), rng.normal(size=(20, 1)))
    alike = Regressions.from_arrays(
        {k: np.repeat(v, 9, axis=0) for k, v in one.to_arrays().items()}
    )
    x = rng.normal(size=(count, 6))
    out = alike.bounds(x, None, 0.7)
    np.testing.assert_array_equal(out, np.repeat(out[:, :1], 9, axis=1))
    np.testing.assert_array_equal(out[-1:], alike.bounds(x[-1:], None, 0.7))


def test_a_whole_catalogue_is_scored_as_candidates_that_list_it() -> None:
    whole = Observation(
        history_items=np.full((6, 3), -1, np.int32),
        history_responses=np.zeros((6, 3, 1), np.float32),
        user=np.random.default_rng(4).normal(size=(6, 1)).astype(np.float32),
    )
    listed = replace(whole, candidates=np.tile(np.arange(4, dtype=np.int32), (6, 1)))
    for name in ("linucb", "lints", "cascade_linucb"):
        policy = POLICIES[name].load()(make_serving(4))
        one, two = policy.distribution(whole), policy.distribution(listed)
        np.testing.assert_allclose(one.first_place(), two.first_place(), atol=1e-6)
        np.testing.assert_array_equal(one.ranking(4), two.ranking(4))


def test_it_learns_which_item_pays() -> None:
    rng = np.random.default_rng(2)
    n = 400
    slate = np.stack([rng.permutation(4)[:2] for _ in range(n)]).astype(np.int32)
    paid = np.where(slate == 2, 1.0, 0.0) + 0.1 * rng.normal(size=slate.shape)
    log = LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, int),
        slate=slate,
        propensity=np.full(n, 1 / 12),
        position_reward=paid,
        reward=paid.sum(axis=1),
        n_items=4,
        consumed=np.full(n, -1),
        responses=np.zeros((n, 1)),
        context=rng.normal(size=(n, 1)),
    )
    policy = linucb(make_serving(4))
    policy.update(log)
    from policies.base import observation_of_log

    best = policy.distribution(observation_of_log(log, make_serving(4))).sample(rng)[:, 0]
    assert (best == 2).mean() > 0.99


def test_reward_without_a_place_goes_to_the_item_taken_or_is_refused() -> None:
    columns = {
        "session": [0, 1], "step": [0, 0], "slate": [[0, 1], [2, 3]],
        "propensity": [0.5, 0.5], "reward": [3.0, 1.0], "n_items": 4,
    }  # fmt: skip
    taken = LoggedDataset.from_columns(**columns, consumed=[1, -1])
    np.testing.assert_array_equal(place_rewards(taken), [[0, 3], [0, 0]])
    with pytest.raises(ValueError, match="which place earned the reward is unknown"):
        place_rewards(LoggedDataset.from_columns(**columns))


@pytest.mark.parametrize(
    ("settings", "said"), [({"alpha": -1.0}, "at least 0"), ({"ridge": 0.0}, "above 0")]
)
def test_impossible_settings_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        linucb(make_serving(4), **settings)  # type: ignore[arg-type]
