"""Aggregates over seeds and worlds: numbers worked by hand, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from experiments.curves.aggregate import (
    improvement,
    interquartile_mean,
    normalised,
    performance_profile,
)


def test_the_middle_half_is_meant() -> None:
    scores = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 700.0]]
    found = interquartile_mean(scores)
    assert found.value == 3.5  # of 2, 3, 4, 5
    assert found.low <= found.value <= found.high
    many = np.random.default_rng(0).normal(size=(9, 3))
    assert interquartile_mean(many).value == pytest.approx(trim_mean(many, 0.25, axis=None))


def test_seeds_are_redrawn_inside_their_world() -> None:
    """Worlds that differ widely and seeds that do not: nothing is uncertain."""
    scores = np.tile([0.0, 100.0], (5, 1))
    found = interquartile_mean(scores)
    assert found.value == found.low == found.high == 50.0


def test_the_interval_covers_the_truth() -> None:
    rng, inside = np.random.default_rng(1), 0
    for trial in range(60):
        found = interquartile_mean(rng.normal(2.0, 1.0, size=(10, 4)), seed=trial)
        inside += found.low <= 2.0 <= found.high
    assert inside >= 50  # of 57 expected


def test_improvement_is_the_mann_whitney_statistic() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(0.5, 1, size=(6, 1)), rng.normal(0, 1, size=(8, 1))
    u = mannwhitneyu(one[:, 0], other[:, 0]).statistic
    assert improvement(one, other).value == pytest.approx(u / 48)
    assert improvement(one, one).value == 0.5
    assert improvement([[1.0], [2.0]], [[0.0], [0.5]]).low == 1.0


def test_profiles_count_runs_above_each_threshold() -> None:
    scores = [[0.0, 0.5], [1.0, 0.5]]
    found = performance_profile(scores, [-1.0, 0.0, 0.6, 1.0])
    assert found.share.tolist() == [1.0, 0.75, 0.25, 0.0]
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()
    assert found.low[0] == found.high[0] == 1.0


def test_scores_are_normalised_by_world_and_checked() -> None:
    assert normalised([[10.0, 3.0]], [0.0, 2.0], [20.0, 4.0]).tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match="world 1: the score of 1 must earn more"):
        normalised([[1.0, 1.0]], [0.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="needs 2 seeds, got 1"):
        interquartile_mean([[1.0]])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        performance_profile([1.0, 2.0], [0.0])
    with pytest.raises(ValueError, match="of 1 and of 2 worlds"):
        improvement([[1.0], [2.0]], [[1.0, 2.0], [2.0, 3.0]])
