"""Following users: whatever happens to their histories, the states are those of whole ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.encoders import ENCODERS, Sequences
from policies.encoders.serving.follow import EMPTY, GREW, OTHER, UNCHANGED, Follower, changes

A, H = 12, 5


@pytest.fixture(scope="module", params=["gru4rec", "sasrec", "markov", "filter", "mixture"])
def encoder(request: pytest.FixtureRequest) -> Any:
    rng = np.random.default_rng(0)
    items = rng.integers(A - 1, size=200)  # the last item is never seen in training
    small = {"dim": 8, "length": 4, "epochs": 1}
    sizes: dict[str, Any] = {"markov": {}, "mixture": {"first_settings": small}}
    sequences = Sequences.from_events(np.arange(200) // 10, items, n_items=A)
    return ENCODERS[request.param](**sizes.get(request.param, small)).fit(sequences)


def test_states_equal_those_of_whole_histories(encoder: Any) -> None:
    """Users take items or nothing, repeat themselves, leave, and some come back with a past."""
    rng = np.random.default_rng(1)
    follow, now = Follower(encoder), np.full((40, H), -1, np.int32)
    for _ in range(60):
        what = rng.choice(4, size=40, p=[0.3, 0.6, 0.06, 0.04])
        item = rng.integers(A, size=40).astype(np.int32)
        item[::3] = 2  # some take the same item repeatedly
        grown = np.concatenate([now[:, 1:], item[:, None]], axis=1)
        past = np.full((40, H), -1, np.int32)
        past[:, -2:] = rng.integers(A, size=(40, 2))
        now = np.choose(what[:, None], [now, grown, -1, past]).astype(np.int32)
        np.testing.assert_allclose(follow(now), encoder.encode(now), atol=2e-5)
    fewer = now[:7]
    np.testing.assert_allclose(follow(fewer), encoder.encode(fewer), atol=2e-5)


def test_how_each_history_changed() -> None:
    seen = np.array(
        [[-1, -1, 4], [-1, -1, 4], [-1, 3, 4], [2, 3, 4], [-1, -1, -1], [-1, 3, 4]], np.int32
    )
    now = np.array([[-1, -1, 4], [-1, 4, 4], [-1, -1, -1], [3, 4, 5], [-1, 1, 2], [3, 4, 5]])
    whole = np.ones(6, np.bool_)
    what, item = changes(seen, now.astype(np.int32), whole, 3)
    assert what.tolist() == [UNCHANGED, GREW, EMPTY, OTHER, OTHER, GREW]
    assert item.tolist() == [-1, 4, -1, -1, -1, 5]
    assert whole.tolist() == [True, True, True, False, False, True]
    np.testing.assert_array_equal(seen, now)
    short = np.array([[-1, -1, 4]], np.int32)
    longer = np.array([[-1, 4, 4]], np.int32)
    assert changes(short, longer, np.ones(1, np.bool_), 1)[0] == [OTHER], "past what it looks at"
