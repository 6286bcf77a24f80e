"""Choice models: probabilities by enumeration against the frequencies of the scalar functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recsim_env.choice import (
    cascade,
    dependent_click,
    exponential_cascade,
    multinomial_logit,
    position_based,
    proportional,
    sigmoid,
)

GRID = (np.arange(100_000) + 0.5) / 100_000  # every luck once: frequencies are probabilities


def frequencies(choose: Callable[..., int], scores: list[float], *rest: float) -> np.ndarray:
    """How often each place, and last nothing, is chosen over all luck."""
    places = [choose(np.array(scores), *rest, u) for u in GRID]
    return np.bincount(np.array(places) % (len(scores) + 1), minlength=len(scores) + 1) / len(GRID)


def test_proportional_choice_by_hand() -> None:
    # weights 1, 3, 0 against 4 for nothing: 1/8, 3/8, 0, 4/8
    assert frequencies(proportional, [1, 3, 0], 4.0) == pytest.approx([1 / 8, 3 / 8, 0, 1 / 2])


def test_logit_choice_by_hand() -> None:
    weights = np.array([2.0, 0.5, 1.0, 4.0])
    got = frequencies(multinomial_logit, list(np.log(weights[:3])), float(np.log(4.0)))
    assert got == pytest.approx(weights / weights.sum(), abs=2e-5)


def test_logits_of_any_size_do_not_overflow() -> None:
    assert frequencies(multinomial_logit, [1000.0, 999.0], 0.0) == pytest.approx(
        [sigmoid(1.0), sigmoid(-1.0), 0.0], abs=2e-5
    )
    assert multinomial_logit(np.array([-1000.0]), 1000.0, 0.999) == -1


def test_sigmoid_is_exact_at_both_ends() -> None:
    assert sigmoid(0.0) == 0.5
    assert sigmoid(-800.0) == pytest.approx(0.0)
    assert sigmoid(800.0) == 1.0


def test_cascade_by_hand() -> None:
    # .2, then .8 x .5, then .4 x .1; the rest takes nothing
    assert frequencies(cascade, [0.2, 0.5, 0.1]) == pytest.approx([0.2, 0.4, 0.04, 0.36])


def test_exponential_cascade_by_hand() -> None:
    scores = [float(np.log(0.4)), float(np.log(1.0))]
    assert frequencies(exponential_cascade, scores, 0.5) == pytest.approx([0.2, 0.4, 0.4])


def clicked(choose: Callable[..., int], *rest: np.ndarray, n: int = 40_000) -> np.ndarray:
    """Rows (n, K) of clicks, each under luck of its own."""
    user = np.zeros(1, [("key", "u8"), ("counter", "u8"), ("step", "i8")])[0]
    user["key"] = 5
    rows = np.zeros((n, len(rest[0])))
    for row in rows:
        last = choose(user, *rest, row)
        assert last == (np.flatnonzero(row)[-1] if row.any() else -1)
    return rows


def test_position_based_places_are_independent() -> None:
    chance, seen = np.array([0.5, 0.8]), np.array([1.0, 0.5])
    rows = clicked(position_based, chance, seen)
    assert rows.mean(0) == pytest.approx([0.5, 0.4], abs=0.01)
    assert (rows[:, 0] * rows[:, 1]).mean() == pytest.approx(0.2, abs=0.01)


def test_dependent_clicks_end_where_the_user_does_not_go_on() -> None:
    rows = clicked(dependent_click, np.array([0.5, 0.6]), np.array([0.3, 1.0]))
    # the second place is reached unless a click at the first (.5) ended it (.7)
    assert rows.mean(0) == pytest.approx([0.5, 0.6 * (1 - 0.5 * 0.7)], abs=0.01)
