"""Retrieval: the nearest items, exactly, and the same for a user alone and in any batch."""

from __future__ import annotations

import numpy as np
import pytest

from serving import TopVectors


def by_sorting(vectors: np.ndarray, history: np.ndarray, k: int, recent: int) -> list[int]:
    """The same, by the definition: a slow twin in double precision."""
    items = history[history >= 0][-recent:]
    if not len(items):
        return list(range(k))
    user = vectors[items].mean(axis=0).astype(np.float64)
    scores = (vectors.astype(np.float64) * user).sum(axis=1)
    return sorted(range(len(vectors)), key=lambda i: (-scores[i], i))[:k]


@pytest.mark.parametrize("kind", ["any", "equal", "nearly equal", "tiny", "large"])
@pytest.mark.parametrize(("k", "recent"), [(1, 1), (20, 3), (300, 10)])
def test_the_nearest_items_alone_and_in_a_batch(kind: str, k: int, recent: int) -> None:
    rng = np.random.default_rng(k)
    vectors = rng.normal(size=(300, 24)).astype(np.float32)
    if kind == "equal":  # many ties across the border: the lower item stands first
        vectors = vectors[rng.integers(0, 9, 300)]
    if kind == "nearly equal":  # differences that single precision does not tell apart
        vectors = 1 + np.float32(1e-6) * vectors
    vectors *= np.float32({"tiny": 1e-20, "large": 1e17}.get(kind, 1.0))
    histories = rng.integers(0, 300, (23, 12)).astype(np.int32)
    histories[rng.random(histories.shape) < 0.3] = -1
    histories[5] = -1
    top = TopVectors(vectors, k, recent=recent)
    found = top(histories)
    assert found.dtype == np.int32
    assert found.tolist() == [by_sorting(vectors, row, k, recent) for row in histories]
    for i in range(len(histories)):
        np.testing.assert_array_equal(top(histories[i : i + 1])[0], found[i])
    order = rng.permutation(len(histories))
    np.testing.assert_array_equal(top(histories[order]), found[order])
    assert top(histories[:0]).shape == (0, k)


def test_many_users_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    histories = rng.integers(0, 50, (17, 5)).astype(np.int32)
    whole = TopVectors(vectors, 7)(histories)
    monkeypatch.setattr("serving.retrieval.PRODUCTS", 150)
    np.testing.assert_array_equal(TopVectors(vectors, 7)(histories), whole)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_vectors_without_finite_products_are_not_taken(value: float) -> None:
    vectors = np.ones((5, 2), np.float32)
    vectors[3, 1] = value
    with pytest.raises(ValueError, match="must be finite, and their products too"):
        TopVectors(vectors, 2)


@pytest.mark.parametrize("k", [0, 6])
def test_more_items_than_there_are_cannot_be_retrieved(k: int) -> None:
    with pytest.raises(ValueError, match=r"k is 0|6 of .* cannot be retrieved"):
        TopVectors(np.ones((5, 2), np.float32), k)
