"""Encoders that begin at what is known of the items, and what agents make of their states."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from policies import ENCODERS, Sequences
from policies.encoders.nets.layers import content_vectors

TOPICS, ITEMS = 4, 120
TOPIC = np.arange(ITEMS) % TOPICS
FEATURES = np.eye(TOPICS, dtype=np.float32)[TOPIC]


def loyal(users: int, seed: int) -> Sequences:
    """Users who stay with one topic, five items each: an item is met twice or so."""
    rng = np.random.default_rng(seed)
    favourite = rng.integers(TOPICS, size=users)
    lists = [rng.choice(np.flatnonzero(z == TOPIC), 5, replace=False) for z in favourite]
    return Sequences.from_lists(lists, n_items=ITEMS)


def share_on_topic(sequences: Sequences, name: str) -> float:
    """How much of the ten best next items has the topic of the history."""
    encoder = ENCODERS[name](dim=8, length=6, epochs=60, batch_tokens=64, seed=0).fit(sequences)
    scores = encoder.scores(np.flatnonzero(sequences.counts() > 0)[:, None])
    best = np.argsort(-scores, axis=1)[:, :10]
    return float((TOPIC[best] == TOPIC[np.flatnonzero(sequences.counts() > 0)][:, None]).mean())


@pytest.mark.parametrize("name", ["gru4rec", "sasrec"])
def test_a_short_log_is_enough_where_items_are_known(name: str) -> None:
    blind = loyal(60, seed=0)
    known = share_on_topic(replace(blind, item_features=FEATURES), name)
    assert known > share_on_topic(blind, name) + 0.3  # of four topics, chance hits a quarter


def test_content_keeps_the_products_of_centred_features_up_to_their_mean_length() -> None:
    features = torch.tensor([[2.0, 1.0, 5.0], [0.0, 1.0, 5.0], [1.0, 4.0, 5.0]])
    # centred: (1, -1), (-1, -1), (0, 2); squares 2, 2, 4: their mean is 8 / 3
    expected = torch.tensor([[2.0, 0.0, -2.0], [0.0, 2.0, -2.0], [-2.0, -2.0, 4.0]]) / (8 / 3)
    vectors = content_vectors(features, 8)
    torch.testing.assert_close(vectors @ vectors.T, expected)


def test_of_more_features_than_dimensions_the_widest_are_kept() -> None:
    features = torch.tensor([[9.0, 0.1], [-9.0, 0.1], [9.0, -0.1], [-9.0, -0.1]])
    assert content_vectors(features, 1).abs().flatten().tolist() == pytest.approx([1.0] * 4)


def test_items_of_which_all_is_alike_begin_as_without_features() -> None:
    alike = torch.ones(5, 3)
    assert not content_vectors(alike, 4).any()


def test_features_are_checked_and_stay_with_their_sequences() -> None:
    sequences = replace(loyal(6, seed=1), item_features=FEATURES)
    assert sequences.take([0, 2]).item_features is FEATURES
    with pytest.raises(ValueError, match=r"shape \(7, 4\) for 120 items"):
        replace(sequences, item_features=FEATURES[:7])
    wrong = FEATURES.copy()
    wrong[3, 1] = np.nan
    with pytest.raises(ValueError, match="item 3 are not finite"):
        replace(sequences, item_features=wrong)
