"""Popularity counts what it says it counts."""

from __future__ import annotations

import numpy as np
import pytest

from policies.encoders.data.sequences import Sequences
from policies.encoders.models.popularity import Popularity, PopularityConfig

DATA = Sequences.from_lists(
    [[0, 0, 1], [2, 2, 1]], n_items=4, times=[[0.0, 1.0, 50.0], [2.0, 3.0, 60.0]]
)
NOBODY = np.full((1, 3), -1)


def test_scores_are_smoothed_log_shares() -> None:
    got = np.exp(Popularity().fit(DATA).scores(NOBODY))[0]
    np.testing.assert_allclose(got, np.array([3, 3, 3, 1]) / 10, rtol=1e-6)


@pytest.mark.parametrize("config", [PopularityConfig(window=20), PopularityConfig(tail=1)])
def test_recent_popularity_counts_recent_events_only(config: PopularityConfig) -> None:
    got = np.exp(Popularity(config).fit(DATA).scores(NOBODY))[0]
    np.testing.assert_allclose(got, np.array([1, 3, 1, 1]) / 6, rtol=1e-6)


def test_a_window_without_times_is_refused() -> None:
    with pytest.raises(ValueError, match="needs times"):
        Popularity(PopularityConfig(window=5)).fit(Sequences.from_lists([[0]], n_items=1))


def test_state_times_vectors_are_the_scores() -> None:
    made = Popularity().fit(DATA)
    np.testing.assert_array_equal(made.encode(NOBODY) @ made.item_vectors.T, made.scores(NOBODY))
