"""Softmax choice as a race: the slates of Gumbel noise, and probabilities by the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.slates.distributions import PlackettLuce, drawn, masked, top_places
from policies.slates.row_streams import RowStreams


def logits(scale: float, width: int, *, closed: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(int(scale) + width)
    table = scale * rng.normal(size=(60, width))
    table[rng.random(table.shape) < closed] = -np.inf
    table[3] = -np.inf
    return table


def by_definition(row: np.ndarray, slate: np.ndarray) -> list[float]:
    """Place by place the share of exp(logit) among what is left, in Python's own numbers."""
    left, reached, out = dict(enumerate(row.tolist())), 1.0, []
    for column in slate.tolist():
        open_now = {c: x for c, x in left.items() if x > -math.inf}
        if column < 0:
            reached *= not open_now
        elif column in open_now:
            total = math.fsum(math.exp(x - open_now[column]) for x in open_now.values())
            reached /= total
            del left[column]
        else:
            reached = 0.0
        out.append(reached)
    return out


@pytest.mark.parametrize(("scale", "width", "places"), [(1, 20, 3), (30, 6, 6), (2, 3, 5)])
def test_a_race_draws_what_gumbel_noise_of_the_same_numbers_does(
    scale: float, width: int, places: int
) -> None:
    table = logits(scale, width)
    d, keys = PlackettLuce(table, places), np.arange(60, dtype=np.uint64)
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    slate, chance = drawn(d, ours)
    assert np.array_equal(slate, top_places(table + theirs.gumbel(size=table.shape), places))
    assert ours.random() == theirs.random()  # as many numbers were drawn
    streams = top_places(table + RowStreams(keys).gumbel(size=table.shape), places)
    assert np.array_equal(d.sample(RowStreams(keys)), streams)
    assert np.array_equal(d.prefix(slate), chance)
    expected = [by_definition(row, one) for row, one in zip(table, slate, strict=True)]
    np.testing.assert_allclose(chance, expected, rtol=1e-12)


def test_alike_columns_have_exact_shares_and_the_slates_of_noise() -> None:
    d, rng = PlackettLuce(np.zeros((50, 20)), 3), np.random.default_rng(1)
    slate, chance = drawn(d, rng)
    noise = np.random.default_rng(1).gumbel(size=(50, 20))
    assert np.array_equal(slate, top_places(noise, 3))
    assert (chance == [1 / 20, 1 / 20 * (1 / 19), 1 / 20 * (1 / 19) * (1 / 18)]).all()
    assert np.array_equal(d.prefix(slate), chance)
    assert (d.first_place() == 1 / 20).all()
    few = drawn(PlackettLuce(np.zeros((4, 2)), 3), rng)
    assert (np.sort(few[0]) == [-1, 0, 1]).all()
    assert (few[1] == [0.5, 0.5, 0.5]).all()


@pytest.mark.parametrize("scale", [700, 5000])
def test_columns_whose_weights_vanish_beside_the_best_still_have_their_order(scale: float) -> None:
    table = logits(scale, 8)
    slate, chance = drawn(PlackettLuce(table, 8), np.random.default_rng(0))
    expected = top_places(table + np.random.default_rng(0).gumbel(size=table.shape), 8)
    assert np.array_equal(slate, expected)
    assert (chance[:, -1] > 0).all()
    np.testing.assert_allclose(
        chance, [by_definition(r, s) for r, s in zip(table, slate, strict=True)], rtol=1e-12
    )


def test_slates_that_were_not_drawn() -> None:
    d = PlackettLuce(np.log([[0.5, 0.3, 0.2]]), 2)
    for slate, wanted in (
        ([2, 0], [0.2, 0.2 * 5 / 8]),
        ([1, 1], [0.3, 0.0]),  # a column stands once
        ([-1, 0], [0.0, 0.0]),  # an empty place, though columns were left
    ):
        np.testing.assert_allclose(d.prefix(np.array([slate])), [wanted], atol=1e-15)
    for wrong in ([[0, 3]], [[-2, 0]], [[2**32, 0]]):  # which is 0 in 32 bits
        with pytest.raises(ValueError, match="columns below 3"):
            d.prefix(np.array(wrong))
    for wrong in ([[0, 1], [1, 0]], [[0.6, 1.0]]):
        with pytest.raises(ValueError, match="a row for each of 1 users"):
            d.prefix(np.array(wrong))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_named(bad: float) -> None:
    scores = np.zeros((3, 4))
    scores[1, 2] = bad
    with pytest.raises(ValueError, match=r"score\[1, 2\]"):
        masked(scores, None)
