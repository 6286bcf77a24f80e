"""Moments against numpy on the numbers all at once, in any unit and from any offset."""

from __future__ import annotations

import numpy as np
import pytest

from policies.moments import Moments

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(500, 3))
UNITS = [(1.0, 0.0), (1e-7, 0.0), (1e17, 0.0), (1.0, 3e8), (1e-3, -5.0)]


@pytest.mark.parametrize(("scale", "offset"), UNITS)
def test_batches_are_as_one(scale: float, offset: float) -> None:
    rows = ROWS * scale + offset
    merged = Moments.none(3)
    for part in np.split(rows, [0, 1, 20, 300]):
        merged = merged.plus(Moments.of(part))
    np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-12, atol=1e-15 * scale)
    np.testing.assert_allclose(merged.spread(), ROWS.std(axis=0) * scale, rtol=1e-6)
    assert merged.count == 500


@pytest.mark.parametrize(("scale", "offset"), UNITS)
def test_groups_are_each_their_own_and_pool_to_all(scale: float, offset: float) -> None:
    values = ROWS[:, 0] * scale + offset
    group = RNG.integers(-1, 4, 500)
    group[group == 2] = 1  # nobody is in 2
    merged = Moments.none(4, own_counts=True)
    for part in np.array_split(np.arange(500), 7):
        merged = merged.plus(Moments.by_group(group[part], values[part], 4))
    for g in (0, 1, 3):
        mine = values[group == g]
        assert merged.count[g] == len(mine)
        np.testing.assert_allclose(merged.mean[g], mine.mean(), rtol=1e-12, atol=1e-15 * scale)
        np.testing.assert_allclose(merged.spread()[g], mine.std(), rtol=1e-6)
    assert merged.count[2] == 0
    every = values[group >= 0]
    np.testing.assert_allclose(merged.pooled().spread(), every.std(), rtol=1e-6)
    np.testing.assert_allclose(merged.pooled().mean, every.mean(), atol=1e-9 * scale)


@pytest.mark.parametrize("constant", [0.1, 1e-9, 7e12, -3.0, 0.0])
def test_what_does_not_vary_is_measured_in_its_own_size(constant: float) -> None:
    rows = np.full((1001, 1), constant)
    seen = Moments.of(rows).plus(Moments.of(rows[:7]))
    assert seen.spread() == 0
    np.testing.assert_allclose(seen.unit(), abs(constant) or 1.0)


def test_single_precision_keeps_a_small_spread_beside_a_large_mean() -> None:
    rows = (1e5 + RNG.normal(size=(100_000, 1))).astype(np.float32)
    np.testing.assert_allclose(Moments.of(rows).spread(), rows.astype(float).std(), rtol=1e-4)
