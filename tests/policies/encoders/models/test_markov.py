"""Skip-Markov against numbers worked by hand and a twin that loops over events."""

from __future__ import annotations

import numpy as np
import pytest

from policies.encoders.data.sequences import Sequences
from policies.encoders.models.markov import MarkovConfig, SkipMarkov, transition_counts


def random_data(users: int = 60, items: int = 15) -> Sequences:
    rng = np.random.default_rng(0)
    lists = [rng.integers(items, size=rng.integers(1, 20)) for _ in range(users)]
    return Sequences.from_lists(lists, n_items=items)


def test_one_transition_by_hand() -> None:
    made = SkipMarkov(MarkovConfig(skip=2, decay=0.5, smoothing=2.0, state_size=2))
    made.fit(Sequences.from_lists([[0, 1, 2]], n_items=4))
    # from 0: one step to 1 (weight 1), two steps to 2 (weight .5); row total 1.5 + 2 smoothing
    got = np.exp(made.scores(np.array([[-1, 0]])))[0]
    np.testing.assert_allclose(got, np.array([0.5, 1.5, 1.0, 0.5]) / 3.5, rtol=1e-6)
    # history 0, 1: weights (.5, 1) / 1.5 on the rows of 0 and 1; row 1 = (.5, .5, 1.5, .5) / 3
    row0, row1 = np.array([0.5, 1.5, 1.0, 0.5]) / 3.5, np.array([0.5, 0.5, 1.5, 0.5]) / 3.0
    got = np.exp(made.scores(np.array([[0, 1]])))[0]
    np.testing.assert_allclose(got, row0 / 3 + row1 * 2 / 3, rtol=1e-6)


def test_counts_match_a_loop_over_events() -> None:
    data, slow = random_data(), np.zeros((15, 15))
    for one in data:
        for i, left in enumerate(one):
            for distance in range(1, 5):
                if i + distance < len(one):
                    slow[left, one[i + distance]] += 0.8 ** (distance - 1)
    np.testing.assert_allclose(transition_counts(data, 4, 0.8).toarray(), slow)


def test_every_row_is_a_distribution() -> None:
    made, rng = SkipMarkov().fit(random_data()), np.random.default_rng(1)
    scores = made.scores(rng.integers(-1, 15, size=(50, 7)))
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)


def test_histories_without_a_known_transition_score_by_popularity() -> None:
    made = SkipMarkov().fit(Sequences.from_lists([[0, 1, 1, 2]], n_items=4))
    popular = np.log(np.array([2, 3, 2, 1]) / 8)
    got = made.scores(np.array([[-1, -1], [-1, 3], [-1, 2]]))  # empty, never seen, never followed
    np.testing.assert_allclose(got, np.tile(popular, (3, 1)), rtol=1e-6)


def test_full_rank_states_reproduce_the_transition_probabilities() -> None:
    data = random_data()
    made = SkipMarkov(MarkovConfig(state_size=15)).fit(data)
    ids = np.array([[1, 2, 3], [-1, 4, 5]])
    counts = transition_counts(data, 5, 0.7).toarray()
    chain = counts / (counts.sum(axis=1, keepdims=True) + 20)
    weights = np.array([[0.49, 0.7, 1.0], [0.0, 0.7, 1.0]])
    weights /= weights.sum(axis=1, keepdims=True)
    wanted = np.einsum("bh,bha->ba", weights, chain[ids])
    np.testing.assert_allclose(made.encode(ids) @ made.item_vectors.T, wanted, atol=1e-5)


def test_dense_and_sparse_tables_score_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    data, ids = random_data(), np.array([[1, 2, 3], [-1, 4, 5], [-1, -1, -1]])
    dense = SkipMarkov().fit(data).scores(ids)
    monkeypatch.setattr("policies.encoders.models.markov.DENSE_BYTES", 0)
    np.testing.assert_allclose(SkipMarkov().fit(data).scores(ids), dense, rtol=1e-6)
