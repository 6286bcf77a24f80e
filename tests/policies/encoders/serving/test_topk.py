"""Top-K in blocks is the top-K of the whole table."""

from __future__ import annotations

import numpy as np
import pytest

from policies.encoders import ENCODERS, Sequences
from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.serving.topk import top_k


@pytest.mark.parametrize(("items", "k"), [(5, 5), (40, 10), (333, 10), (2000, 1), (2000, 300)])
def test_it_is_the_sorted_table(items: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "policies.encoders.serving.topk.WIDE", 512
    )  # several blocks, the last one short
    monkeypatch.setattr("policies.encoders.serving.topk.ROWS", 7)
    rng = np.random.default_rng(0)
    states = rng.standard_normal((20, 8)).astype(np.float32)
    vectors = rng.standard_normal((items, 8)).astype(np.float32)
    got, whole = top_k(states, vectors, k), states @ vectors.T
    np.testing.assert_allclose(got.scores, -np.sort(-whole, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(whole, got.items, 1), got.scores, atol=1e-5)
    assert all(len(set(row)) == k for row in got.items)


def test_more_than_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="the best 4 of 3 items"):
        top_k(np.zeros((1, 2), np.float32), np.zeros((3, 2), np.float32), 4)


def test_serving_lists_are_the_best_scores_of_trained_items() -> None:
    rng = np.random.default_rng(0)
    data = Sequences.from_lists([rng.integers(40, size=12) for _ in range(30)], n_items=50)
    made = ENCODERS["gru4rec"](dim=8, epochs=1).fit(data)
    assert isinstance(made, NeuralEncoder)
    state = made.step(made.initial_state(3), np.array([4, -1, 7]))
    top, scores = made.state_top(state, 5), made.state_scores(state)
    np.testing.assert_allclose(top.scores, -np.sort(-scores, axis=1)[:, :5], atol=1e-5)
    assert top.items[1].tolist() == np.argsort(-data.counts(), kind="stable")[:5].tolist()
    assert top.items.max() < 40


def test_equal_scores_come_in_the_order_of_their_ids_across_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("policies.encoders.serving.topk.WIDE", 100)
    vectors = np.tile(np.array([[1.0], [3.0], [2.0]], np.float32), (70, 1))  # (210, 1)
    got = top_k(np.array([[1.0], [-1.0]], np.float32), vectors, 72)
    order = [*range(1, 210, 3), *range(2, 210, 3), *range(0, 210, 3)]
    assert got.items[0].tolist() == order[:72]
    assert got.items[1].tolist() == [*range(0, 210, 3), 2, 5]
    near = np.float32(1.0) + np.arange(7, dtype=np.float32) * np.finfo(np.float32).eps
    assert top_k(np.ones((1, 1), np.float32), near[:, None], 3).items[0].tolist() == [6, 5, 4]


def test_scores_that_are_no_numbers_are_refused() -> None:
    states = np.array([[1.0], [np.nan]], np.float32)
    with pytest.raises(ValueError, match="user 1 has fewer than 2 scores"):
        top_k(states, np.ones((4, 1), np.float32), 2)
