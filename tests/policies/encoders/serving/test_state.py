"""One event at a time gives the states and scores of the whole history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.encoders import ENCODERS, Encoder, Sequences

SMALL = {"dim": 16, "length": 6, "epochs": 2, "batch_tokens": 200, "negatives": 8}
LIGHT: dict[str, dict[str, Any]] = {
    "popularity": {},
    "markov": {"skip": 4},
    "mixture": {"first": "gru4rec", "first_settings": SMALL, "second_settings": {"skip": 4}},
}
every = pytest.mark.parametrize("name", ENCODERS)


def fitted(name: str, **more: Any) -> Encoder:
    rng = np.random.default_rng(0)
    lists = [rng.integers(19, size=rng.integers(2, 25)) for _ in range(60)]  # 19 is never seen
    data = Sequences.from_lists(lists, n_items=20)
    return ENCODERS[name](**LIGHT.get(name, SMALL) | more).fit(data)


def events(steps: int, users: int = 7) -> np.ndarray:
    """(users, steps) items; some steps bring nothing."""
    rng = np.random.default_rng(1)
    items = rng.integers(20, size=(users, steps))
    return np.where(rng.random(items.shape) < 0.2, -1, items)


@pytest.mark.parametrize(
    ("name", "more"), [*((name, {}) for name in ENCODERS), ("gru4rec", {"hidden": 24})]
)
def test_steps_equal_the_full_recomputation_far_beyond_the_window(
    name: str, more: dict[str, int]
) -> None:
    made, coming = fitted(name, **more), events(40)
    state = made.initial_state(len(coming))
    for t in range(coming.shape[1]):
        state = made.step(state, coming[:, t])
        histories = np.pad(coming[:, : t + 1], ((0, 0), (1, 0)), constant_values=-1)
        np.testing.assert_allclose(state.vectors, made.encode(histories), atol=1e-5)
        np.testing.assert_allclose(made.state_scores(state), made.scores(histories), atol=1e-4)
    assert state.nbytes > 0


@every
def test_a_user_that_starts_anew_has_no_past(name: str) -> None:
    made, coming = fitted(name), events(9)
    state = made.initial_state(len(coming))
    for t in range(9):
        state = made.step(state, coming[:, t])
    kept = made.state_scores(state)[1]
    state.reset([0, 2])
    fresh = made.scores(np.full((1, 3), -1))[0]
    np.testing.assert_allclose(made.state_scores(state)[[0, 2]], np.stack([fresh, fresh]))
    np.testing.assert_array_equal(made.state_scores(state)[1], kept)
    for t in range(3):
        state = made.step(state, np.where(np.arange(7) == 0, [4, 5, 6][t], -1))
    np.testing.assert_allclose(
        made.state_scores(state)[0], made.scores(np.array([[4, 5, 6]]))[0], atol=1e-4
    )
    np.testing.assert_allclose(made.state_scores(state)[1], kept, atol=1e-5)


def test_an_item_outside_the_catalogue_is_refused_by_row() -> None:
    made = fitted("sasrec")
    with pytest.raises(ValueError, match=r"items\[1\] = 20 is outside -1\.\.19"):
        made.step(made.initial_state(2), np.array([1, 20]))
    with pytest.raises(ValueError, match=r"items must be \(2,\) integers"):
        made.step(made.initial_state(2), np.array([1, 2, 3]))


@pytest.mark.parametrize("length", [2, 3])
@every
def test_a_short_window_forgets_what_leaves_it_at_every_length(name: str, length: int) -> None:
    """From no event to two beyond the last that counts, for users who start at different times."""
    made = fitted(name, **({} if name in LIGHT else {"length": length, "dim": 8, "epochs": 1}))
    state, coming = made.initial_state(3), events(made.context_length + 4, users=3)
    coming[0, :2] = -1
    for t in range(coming.shape[1] + 1):
        seen = np.pad(coming[:, :t], ((0, 0), (1, 0)), constant_values=-1)
        np.testing.assert_allclose(state.vectors, made.encode(seen), atol=1e-5)
        if t < coming.shape[1]:
            state = made.step(state, coming[:, t])
