"""Choice models: probabilities by enumeration against the frequencies of the scalar functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recsim_env.choice import multinomial_logit, proportional, sigmoid

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
