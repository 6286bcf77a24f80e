"""The plain loop that speeds are held against does the same work: targets, causality, learning."""

from __future__ import annotations

import numpy as np
import torch

from experiments.benchmark.plain_loop import PlainSASRec, padded, speeds
from policies.encoders import Sequences


def data() -> Sequences:
    rng = np.random.default_rng(0)
    lists = [(rng.integers(20) + np.arange(rng.integers(4, 30))) % 20 for _ in range(40)]
    return Sequences.from_lists(lists, n_items=20)


def test_every_event_but_a_users_first_is_a_target_once() -> None:
    sequences = data()
    ids = padded(sequences, 9)
    assert (ids[:, 1:] > 0).sum() == sequences.n_events - len(sequences)
    whole = padded(Sequences.from_lists([[4, 7, 0]], n_items=20), 5)
    assert whole.tolist() == [[5, 8, 1, 0, 0]]


def test_no_event_sees_a_later_one() -> None:
    network = PlainSASRec(20, dim=8, length=6, dropout=0.0).eval()
    one, two = torch.tensor([[3, 4, 5, 6]]), torch.tensor([[3, 4, 9, 9]])
    torch.testing.assert_close(network(one)[:, :2], network(two)[:, :2])
    assert not torch.allclose(network(one)[:, 2:], network(two)[:, 2:])


def test_it_tells_one_speed_an_epoch() -> None:
    told = speeds(data(), dim=8, length=8, epochs=2)
    assert len(told) == 2
    assert min(told) > 0
