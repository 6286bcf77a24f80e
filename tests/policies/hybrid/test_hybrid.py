"""Two stages choose as the reranker does among the list, with exact propensities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from policies import Cap, Exploration, Policy, ScorePolicy, act, build, constrained, load, save
from policies.baselines.popularity import Popularity
from policies.hybrid.candidates import CandidateTable, candidate_table
from policies.hybrid.policy import Hybrid
from tests.factories import make_observation, make_serving

A, K, L = 8, 2, 4
SERVING = make_serving(A, slate_size=K)
COUNTS = np.exp(np.linspace(0, 2, A))
FULL = ScorePolicy(Popularity(SERVING, COUNTS), Exploration(temperature=1.0))
TABLE = CandidateTable(
    np.stack([(np.arange(L) + last + 1) % A for last in range(A)] + [np.arange(L)]).astype(np.int32)
)


def slates_of(policy: Policy) -> np.ndarray:
    """(A (A - 1), 1) probability of every ordered slate, for a user whose last item was 2."""
    slates = np.array([(a, b) for a in range(A) for b in range(A) if a != b], np.int32)
    obs = make_observation(np.tile([-1, 5, 2], (len(slates), 1)))
    return policy.distribution(obs).prefix(slates)[:, -1]


def test_it_is_the_reranker_given_the_list() -> None:
    two = Hybrid(FULL, TABLE)
    obs = make_observation([[-1, 5, 2], [-1, -1, -1]])
    first = two.distribution(obs).first_place()
    for row, items in enumerate(([3, 4, 5, 6], [0, 1, 2, 3])):  # by hand, among the list
        expected = np.zeros(A)
        expected[items] = (COUNTS[items] + 1) / (COUNTS[items] + 1).sum()
        np.testing.assert_allclose(first[row], expected, atol=1e-12)
    assert two.distribution(obs).ranking(L + 1).tolist() == [[6, 5, 4, 3, -1], [3, 2, 1, 0, -1]]


@pytest.mark.parametrize("ruled", ["plain", "inside", "around"])
def test_propensities_are_exact(ruled: str) -> None:
    rule = Cap("shelf", np.arange(A, dtype=np.int32) // 2, 1)
    two: Policy = Hybrid(constrained(FULL, rule) if ruled == "inside" else FULL, TABLE)
    two = constrained(two, rule) if ruled == "around" else two
    chance = slates_of(two)
    assert chance.sum() == pytest.approx(1.0, abs=1e-12)
    slates = [(a, b) for a in range(A) for b in range(A) if a != b]
    if ruled != "plain":
        assert all(p == 0 for p, (a, b) in zip(chance, slates, strict=True) if a // 2 == b // 2)
    drawn = act(two, make_observation(np.tile([-1, 5, 2], (20_000, 1))), np.random.default_rng(0))
    for p, (a, b) in zip(chance, slates, strict=True):
        seen = ((drawn.slate == (a, b)).all(axis=1)).mean()
        assert abs(seen - p) < 5 * (p * (1 - p) / 20_000) ** 0.5 + 1e-12
    at = [slates.index((int(a), int(b))) for a, b in drawn.slate[:50]]
    np.testing.assert_allclose(drawn.propensity[:50], chance[at])


def test_rules_inside_and_around_are_the_same_policy() -> None:
    rule = Cap("shelf", np.arange(A, dtype=np.int32) // 2, 1)
    inside, around = Hybrid(constrained(FULL, rule), TABLE), constrained(Hybrid(FULL, TABLE), rule)
    np.testing.assert_allclose(slates_of(inside), slates_of(around), atol=1e-12)


def test_what_is_not_eligible_is_not_shown() -> None:
    allowed = np.ones((1, A), bool)
    allowed[0, [3, 4]] = False
    obs = make_observation([[-1, 5, 2]], eligible=allowed)
    first = Hybrid(FULL, TABLE).distribution(obs).first_place()[0]
    assert set(np.flatnonzero(first)) == {5, 6}


def test_the_table_is_what_the_source_favours_after_each_item() -> None:
    table = candidate_table(FULL, L, made=100.0, valid_s=10.0)
    assert table.items.shape == (A + 1, L)
    assert (table.items == [7, 6, 5, 4]).all()
    assert table.valid(109.0)
    assert not table.valid(110.0)
    assert table.shortened(2).items.shape == (A + 1, 2)
    np.testing.assert_array_equal(table(np.array([[-1, 3], [-1, -1]])), table.items[[3, -1]])
    full = Hybrid(FULL, candidate_table(FULL, A))  # a list of everything changes nothing
    np.testing.assert_allclose(slates_of(full), slates_of(FULL), atol=1e-12)


def test_a_saved_one_is_the_same(tmp_path: Path) -> None:
    two = constrained(Hybrid(FULL, TABLE), Cap("shelf", np.arange(A, dtype=np.int32) // 2, 1))
    save(two, tmp_path / "two")
    np.testing.assert_array_equal(slates_of(load(tmp_path / "two")), slates_of(two))


def test_what_does_not_fit_is_refused() -> None:
    narrow = build("popularity", make_serving(A, slate_size=K, n_candidates=5))
    with pytest.raises(ValueError, match="candidates that are given"):
        Hybrid(narrow, TABLE)
    with pytest.raises(ValueError, match="whole catalogue"):
        candidate_table(narrow, L)
    with pytest.raises(ValueError, match="fill no slate"):
        Hybrid(FULL, TABLE.shortened(1))
    with pytest.raises(ValueError, match="each once"):
        CandidateTable(np.zeros((A + 1, 2), np.int32))
    with pytest.raises(ValueError, match="of 3 items"):
        Hybrid(FULL, CandidateTable(np.tile(np.arange(2, dtype=np.int32), (4, 1))))
