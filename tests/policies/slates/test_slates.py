"""Distributions over ordered slates: enumeration, hand-worked numbers, observed frequencies."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.base import conditional
from policies.slates.distributions import (
    Mixture,
    PlackettLuce,
    SlateDistribution,
    TopK,
    explore,
    masked,
    top_places,
)

LOGITS = np.log(np.array([[1.0, 2.0, 3.0, 4.0]]))


def repeated(d: PlackettLuce, n: int) -> PlackettLuce:
    return PlackettLuce(np.repeat(d.logits, n, axis=0), d.places)


def all_slates(columns: int, places: int) -> np.ndarray:
    return np.array(list(permutations(range(columns), places)), dtype=np.int32)


def total_probability(make: object, columns: int, places: int) -> float:
    slates = all_slates(columns, places)
    d: SlateDistribution = make(len(slates))  # type: ignore[operator]
    return float(d.prefix(slates)[:, -1].sum())


def test_plackett_luce_worked_by_hand() -> None:
    # weights 1 2 3 4: P(column 3 first) = 4/10, then column 1 of {1, 2, 3} = 2/6
    prefix = PlackettLuce(LOGITS, 2).prefix(np.array([[3, 1]], dtype=np.int32))
    np.testing.assert_allclose(prefix, [[0.4, 0.4 * 2 / 6]], rtol=1e-12)
    np.testing.assert_allclose(conditional(prefix), [[0.4, 2 / 6]], rtol=1e-12)
    np.testing.assert_allclose(PlackettLuce(LOGITS, 2).first_place(), [[0.1, 0.2, 0.3, 0.4]])


@given(
    logits=st.lists(st.floats(-30, 30), min_size=3, max_size=5),
    places=st.integers(1, 3),
    epsilon=st.floats(0, 1),
)
@settings(max_examples=60)
def test_slate_probabilities_sum_to_one(logits: list[float], places: int, epsilon: float) -> None:
    row = np.array([logits])

    def make(n: int) -> SlateDistribution:
        many = np.repeat(row, n, axis=0)
        return explore(PlackettLuce(many, places), many, places, epsilon)

    assert total_probability(make, len(logits), places) == pytest.approx(1, abs=1e-9)
    assert total_probability(
        lambda n: explore(TopK(np.repeat(row, n, axis=0), places), row, places, 0.0),
        len(logits),
        places,
    ) == pytest.approx(1)


def test_a_dominating_logit_does_not_swallow_the_rest() -> None:
    """Sums are re-taken per place: after a weight of e^900 the others still share what is left."""
    d = PlackettLuce(np.array([[900.0, 0.0, np.log(3.0)]]), 3)
    np.testing.assert_allclose(d.prefix(np.array([[0, 2, 1]], dtype=np.int32)), [[1, 0.75, 0.75]])


@pytest.mark.parametrize("places", [1, 2, 3])
def test_propensity_is_the_observed_frequency(places: int) -> None:
    n = 60_000
    base = repeated(PlackettLuce(LOGITS, places), n)
    d = Mixture((base, TopK(base.logits, places)), (0.7, 0.3))
    drawn = d.sample(np.random.default_rng(1))
    slates = all_slates(4, places)
    expected = Mixture(
        (
            repeated(PlackettLuce(LOGITS, places), len(slates)),
            TopK(np.repeat(LOGITS, len(slates), 0), places),
        ),
        (0.7, 0.3),
    ).prefix(slates)[:, -1]
    seen = (drawn[None, :, :] == slates[:, None, :]).all(axis=2).mean(axis=1)
    error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(seen - expected) < 4.5 * error + 1e-12).all()
    np.testing.assert_allclose(
        np.bincount(drawn[:, 0], minlength=4) / n, d.first_place()[0], atol=4.5 * 0.5 / n**0.5
    )


def test_what_is_not_eligible_is_never_shown_and_places_stay_empty() -> None:
    eligible = np.array([[True, False, True, False]])
    scores = masked(np.zeros((1, 4)), eligible)
    for d in (PlackettLuce(scores, 3), TopK(scores, 3)):
        slate = d.sample(np.random.default_rng(0))
        assert set(slate[0, :2]) == {0, 2}
        assert slate[0, 2] == -1
        assert d.prefix(slate)[0, 2] == d.prefix(slate)[0, 1] > 0
        assert d.prefix(np.array([[0, 1, 2]], dtype=np.int32))[0, 1] == 0


def test_top_places_breaks_ties_by_the_lower_column() -> None:
    scores = np.array([[1.0, 5.0, 5.0, 5.0, 0.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(top_places(scores, 2), [[1, 2], [0, 1]])


@pytest.mark.parametrize("places", [1, 4, 12])
def test_top_places_is_the_stable_sort(places: int) -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 6, size=(500, 12)).astype(float)
    slow = np.argsort(-scores, axis=1, kind="stable")[:, :places]
    np.testing.assert_array_equal(top_places(scores, places), slow)


@pytest.mark.parametrize("places", [1, 3])
def test_prefixes_are_one_softmax_after_the_other(places: int) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(200, 5)) * 300  # far beyond what exp can hold
    logits[rng.random(logits.shape) < 0.4] = -np.inf
    logits[0] = -np.inf
    given, d = logits.copy(), PlackettLuce(logits, places)
    slate = d.sample(rng)
    fast = d.prefix(slate)
    np.testing.assert_array_equal(logits, given)
    for row, columns in enumerate(slate):
        left, reached = logits[row].copy(), 1.0
        for place, column in enumerate(columns):
            if column >= 0:
                reached *= np.exp(left[column] - left.max()) / np.exp(left - left.max()).sum()
                left[column] = -np.inf
            assert fast[row, place] == pytest.approx(reached, rel=1e-12)


def test_an_empty_place_is_impossible_while_a_column_is_left() -> None:
    d = PlackettLuce(np.array([[0.0, -np.inf], [-np.inf, -np.inf]]), 1)
    np.testing.assert_array_equal(d.prefix(np.full((2, 1), -1, np.int32)), [[0.0], [1.0]])


def test_a_score_that_is_not_a_number_is_refused_by_place() -> None:
    with pytest.raises(ValueError, match=r"score\[0, 2\] is nan"):
        masked(np.array([[0.0, 1.0, np.nan]]), None)


@pytest.mark.parametrize("weights", [(0.5, 0.4), (1.0,), (1.5, -0.5), (-1.0, 2.0), (np.nan, 1.0)])
def test_mixture_weights_are_shares_that_sum_to_one(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="of at least 0 that sum to 1"):
        Mixture((PlackettLuce(LOGITS, 1), PlackettLuce(LOGITS, 1)), weights)
