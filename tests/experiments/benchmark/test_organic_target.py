"""Clicks per recommendation: what is learnt from views, and the measure."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.benchmark.organic import Clicks, browsed, values, without_last
from experiments.common.truth import mean


def test_a_browse_is_told_by_new_views_or_a_new_session() -> None:
    views = np.array([[1, 0], [1, 0], [1, 1], [1, 1], [1, 1]], np.float32)
    session = np.array([0, 0, 0, 0, 1])
    assert browsed(views, session).tolist() == [True, False, True, False, True]


def test_the_last_view_is_taken_away_and_asked_for() -> None:
    """Products 0..2: counts, then the last one, then the session."""
    seen = np.array(
        [[2, 0, 1, 0, 0, 1, 7], [0, 1, 0, 0, 1, 0, 7], [0, 3, 0, 0, 1, 0, 7]], np.float32
    )
    context, target = without_last(seen, 3, np.random.default_rng(0))
    assert target.tolist() == [2, 1], "a single view shows nothing"
    assert context.tolist() == [[2, 0, 0, 1, 0, 0, 7], [0, 2, 0, 0, 1, 0, 7]]


def test_the_rate_is_a_ratio_and_its_error_that_of_sessions() -> None:
    """500 repeats of 400 sessions whose length goes with their clicks: 95 % hold the truth."""
    rng = np.random.default_rng(0)
    truth, hits = (10 * 0.1 + 2 * 0.3) / (10 + 2), 0
    for _ in range(500):
        long = rng.random(400) < 0.5
        shown = np.where(long, 10.0, 2.0)
        clicks = rng.binomial(shown.astype(int), np.where(long, 0.1, 0.3)).astype(float)
        rate = mean(values(Clicks(clicks, shown)))
        hits += rate.low <= truth <= rate.high
    assert rate.value == pytest.approx(clicks.sum() / shown.sum())
    assert 0.92 <= hits / 500 <= 0.98
