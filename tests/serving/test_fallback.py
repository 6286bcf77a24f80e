"""The fallback's slates are those of a uniform policy under the same rules, drawn for less."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from policies import Banned, Cap, Observation, Quota, Repeats, act
from policies.baselines.uniform import uniform
from policies.rules.constrained import Constrained
from policies.slates.row_streams import RowStreams
from policies.slates.uniform import UniformSlates
from serving.answers import Fallback
from tests.factories import make_serving

A, C, K = 12, 6, 3
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=4, user_size=0)
GROUP = np.arange(A, dtype=np.int32)
RULES = (
    Banned("withdrawn", GROUP == 4),
    Repeats("seen", GROUP),
    Cap("shelf", GROUP % 4, 1),
    Quota("fresh", GROUP % 5 == 0, least=1, most=1),
)


def users(n: int, *, empty: float = 0.2) -> Observation:
    rng = np.random.default_rng(n)
    candidates = np.array([rng.choice(A, C, replace=False) for _ in range(n)], np.int32)
    candidates[rng.random(candidates.shape) < empty] = -1
    histories = rng.integers(-1, A, (n, 4)).astype(np.int32)
    return Observation(
        history_items=histories,
        history_responses=np.zeros((n, 4, 1), np.float32),
        user=np.zeros((n, 0), np.float32),
        candidates=candidates,
        eligible=candidates >= 0,
    )


@pytest.mark.parametrize("rules", [(), RULES], ids=["free", "rules"])
def test_every_slate_has_the_probability_of_the_uniform_policy(rules: tuple) -> None:
    ours = Constrained(Fallback(SERVING), rules) if rules else Fallback(SERVING)
    theirs = Constrained(uniform(SERVING), rules) if rules else uniform(SERVING)
    obs = users(40)
    one, other = ours.distribution(obs), theirs.distribution(obs)
    np.testing.assert_allclose(one.first_place(), other.first_place(), rtol=1e-12)
    total = np.zeros(40)
    for columns in set(permutations([-1, -1, -1, *range(C)], K)):
        slate = np.tile(np.array(columns, np.int32), (40, 1))
        p = one.prefix(slate)
        np.testing.assert_allclose(p, other.prefix(slate), rtol=1e-12)
        total += p[:, -1]
    np.testing.assert_allclose(total, 1, rtol=1e-9)


def test_slates_come_as_often_as_they_say() -> None:
    n = 20_000
    obs = users(1, empty=0.0).rows(np.zeros(n, np.int64))
    chosen = act(
        Constrained(Fallback(SERVING), RULES[2:]), obs, RowStreams(np.arange(n, dtype=np.uint64))
    )
    seen = Counter(map(tuple, chosen.action.tolist()))
    told = dict(zip(map(tuple, chosen.action.tolist()), chosen.propensity, strict=True))
    assert sum(told.values()) == pytest.approx(1)
    for slate, p in told.items():
        assert seen[slate] == pytest.approx(n * p, abs=4.5 * (n * p) ** 0.5)


def test_one_pass_says_what_two_say_and_a_row_depends_on_itself_alone() -> None:
    obs, keys = users(60, empty=0.6), np.arange(60, dtype=np.uint64)
    policy = Constrained(Fallback(SERVING), RULES)
    chosen = act(policy, obs, RowStreams(keys))
    assert (chosen.action < 0).any()  # places that nothing could fill
    d = policy.distribution(obs)
    np.testing.assert_array_equal(d.sample(RowStreams(keys)), chosen.action)
    np.testing.assert_array_equal(d.prefix(chosen.action)[:, -1], chosen.propensity)
    for i in range(0, 60, 7):
        alone = act(policy, obs.rows(slice(i, i + 1)), RowStreams(keys[i : i + 1]))
        np.testing.assert_array_equal(alone.slate[0], chosen.slate[i])
        assert alone.propensity[0] == chosen.propensity[i]


def test_worked_by_hand() -> None:
    d = UniformSlates(np.array([[0.0, -np.inf, 5.0, 0.0], [-np.inf, 1.0, -np.inf, -np.inf]]), 2)
    slate = np.array([[2, 0], [1, -1]], np.int32)
    np.testing.assert_allclose(d.prefix(slate), [[1 / 3, 1 / 6], [1, 1]])
    np.testing.assert_allclose(d.first_place(), [[1 / 3, 0, 1 / 3, 1 / 3], [0, 1, 0, 0]])
    assert d.ranking(3).tolist() == [[0, 2, 3], [1, -1, -1]]
    assert not d.prefix(np.array([[1, 0], [-1, 1]], np.int32)).any()  # closed, and empty too early
