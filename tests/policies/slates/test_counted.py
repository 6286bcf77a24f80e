"""The compiled loop makes the slates, and the chances, of the place-by-place NumPy code."""

from __future__ import annotations

import numpy as np
import pytest

from policies.rules.slate_states import Bonus, CapState, QuotaState
from policies.slates import sequential
from policies.slates.counted import GroupCount, fill
from policies.slates.row_streams import RowStreams
from policies.slates.sequential import Adjustment, Sequential

ROWS, COLUMNS, PLACES = 6, 12, 5


def rules(rng: np.random.Generator) -> tuple[Adjustment, ...]:
    """A cap and up to two quotas, which may ask for more than there is."""
    group = rng.integers(-1, 4, size=(ROWS, COLUMNS)).astype(np.int32)
    cap = int(rng.integers(0, 3))
    made: list[Adjustment] = [lambda: CapState(group, cap)]
    for _ in range(int(rng.integers(0, 3))):
        members = rng.random((ROWS, COLUMNS)) < rng.uniform(0.05, 0.6)
        least = int(rng.integers(0, PLACES))
        most = None if rng.random() < 0.5 else least + int(rng.integers(0, 2))
        made.append(lambda m=members, a=least, b=most: QuotaState(m, a, b))  # type: ignore[misc]
    return tuple(made)


@pytest.mark.parametrize("seed", range(40))
def test_it_fills_as_numpy_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    logits = np.where(rng.random((ROWS, COLUMNS)) < 0.7, rng.normal(size=(ROWS, COLUMNS)), -np.inf)
    d = Sequential(logits, PLACES, rules(rng), greedy=False)
    keys = rng.integers(2**63, size=ROWS).astype(np.uint64)
    slate, prefix = d.drawn(RowStreams(keys))
    monkeypatch.setattr(sequential, "counted", lambda state: None)
    twin, twins_prefix = d.drawn(RowStreams(keys))
    np.testing.assert_array_equal(slate, twin)
    np.testing.assert_array_equal(prefix, twins_prefix)
    np.testing.assert_allclose(prefix, d.prefix(slate), rtol=1e-12)


def test_a_slate_by_hand() -> None:
    """Best first, one of {0, 1} at most, and the last two places are owed to {4, 5}."""
    base, noise = np.array([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]]), np.zeros((1, 4, 6))
    cap = GroupCount(np.array([[0, 0, -1, -1, -1, -1]], np.int32), 0, 1)
    owed = GroupCount(np.array([[-1, -1, -1, -1, 0, 0]], np.int32), 2, 2)
    slate, logits = fill(base, noise, [cap, owed])
    assert slate.tolist() == [[0, 2, 4, 5]]
    assert np.isneginf(logits[1, 0]).tolist() == [True, True, False, False, False, False]
    assert np.isneginf(logits[2, 0]).tolist() == [True, True, True, True, False, False]


def test_other_states_are_not_counted() -> None:
    assert sequential.counted(Bonus(np.zeros((1, 2)))) is None
