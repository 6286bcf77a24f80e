"""Aggregates of score tables: numbers by hand, and intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.study.aggregate import improvement, interquartile_mean, stratified


def test_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert interquartile_mean(np.array([[100.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, -90.0]])) == 3.5


def test_improvement_by_hand() -> None:
    one, other = np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [0.0, 1.0]])
    # first world: 1 beats none and 3 beats both; second: ties with 0, loses to 1
    assert improvement(one, other) == pytest.approx((2 / 4 + 1 / 4) / 2)


def test_worlds_are_resampled_apart() -> None:
    """Seeds that agree within each world leave nothing to chance, however worlds differ."""
    table = np.array([[1.0, 1.0, 1.0], [50.0, 50.0, 50.0]])
    assert stratified(interquartile_mean, table, seed=0, draws=50)[:] == (25.5, 25.5, 25.5)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(150):
        table = rng.normal(size=(4, 10))
        _, low, high = stratified(interquartile_mean, table, seed=trial, draws=200)
        held += low <= 0 <= high
    assert 0.85 <= held / 150 <= 0.99
