"""Every network keeps the encoder contract and learns what a chain cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.encoders import ENCODERS
from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import leave_one_out
from policies.encoders.evaluate import ndcg
from policies.encoders.models.average import trailing_mean
from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.nets.packed import pack

SMALL = {"dim": 16, "length": 8, "epochs": 2, "batch_tokens": 200, "negatives": 8}
NETWORKS = ["gru4rec", "sasrec", "esasrec", "bert4rec", "average", "filter"]
every = pytest.mark.parametrize("name", NETWORKS)


def build(name: str, **settings: object) -> NeuralEncoder:
    made = ENCODERS[name](**SMALL | settings)
    assert isinstance(made, NeuralEncoder)
    return made


def walks(users: int = 80, items: int = 20, seed: int = 0) -> Sequences:
    """Users walk a ring of items with steps +1 and +2 in turn: the next item needs two events."""
    rng = np.random.default_rng(seed)
    lists = []
    for _ in range(users):
        steps = np.resize([1, 2] if rng.random() < 0.5 else [2, 1], rng.integers(6, 25))
        lists.append((rng.integers(items) + np.cumsum(steps)) % items)
    return Sequences.from_lists(lists, n_items=items)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "average"])
def test_it_learns_a_rule_that_needs_two_events(name: str) -> None:
    """The average is left out: a bag of items does not know their order."""
    epochs = 80 if name == "bert4rec" else 30
    made = build(name, epochs=epochs, lr=1e-2, dropout=0.0).fit(walks())
    ids = np.array([[-1, 2, 3, 5, 6], [-1, 1, 2, 4, 6]])
    assert made.scores(ids).argmax(axis=1).tolist() == [8, 7]  # +1 then +2; +2 then +1


@every
def test_the_same_seed_gives_the_same_scores_and_another_seed_does_not(name: str) -> None:
    ids = np.array([[1, 2, 3]])
    one, two, other = (build(name, seed=s).fit(walks()).scores(ids) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, other)


@every
def test_learning_draws_nothing_from_the_global_streams(name: str) -> None:
    before = torch.get_rng_state()
    build(name).fit(walks())
    assert torch.equal(before, torch.get_rng_state())


def test_the_average_is_that_of_the_last_items_of_ones_own_sequence() -> None:
    rows = torch.tensor([[1.0], [3.0], [8.0], [5.0], [7.0]])
    position = torch.tensor([0, 1, 2, 0, 1])
    got = trailing_mean(rows, position, 2)[:, 0]
    assert got.tolist() == [1.0, 2.0, 5.5, 5.0, 6.0]


@pytest.mark.parametrize("name", ["gru4rec", "sasrec", "esasrec", "average", "filter"])
def test_the_state_of_the_last_event_alone_equals_the_full_pass(name: str) -> None:
    made, data = build(name).fit(walks()), walks(seed=1)
    start = np.maximum(data.offsets[1:] - made.context_length, data.offsets[:-1])
    packed = pack(data.items, start, data.offsets[1:])
    full = made._net(packed)[packed.last].detach().numpy()
    got = made.encode(data.histories(made.context_length))[packed.order]
    np.testing.assert_allclose(got, full, atol=1e-5)


@every
def test_scores_are_states_times_item_vectors_and_rows_do_not_mix(name: str) -> None:
    made, ids = build(name).fit(walks()), walks(seed=2).histories(8)
    ids = np.concatenate([ids, ids[:5]])  # equal histories are computed once
    np.testing.assert_allclose(made.scores(ids), made.encode(ids) @ made.item_vectors.T, atol=1e-5)
    alone = np.concatenate([made.encode(row[None]) for row in ids])
    np.testing.assert_allclose(made.encode(ids), alone, atol=1e-5)


@every
def test_empty_and_unknown_histories_fall_back_to_popularity(name: str) -> None:
    lists = [list(one) for one in walks()]
    made = build(name).fit(Sequences.from_lists(lists, n_items=22))
    got = made.scores(np.array([[-1, -1], [-1, 21], [3, 4], [3, 21], [-1, 3]]))
    counts = np.bincount(np.concatenate(lists), minlength=22) + 1
    np.testing.assert_allclose(got[:2], np.log(counts / counts.sum())[None].repeat(2, 0), rtol=1e-5)
    assert (got[2:, 20:] <= got[2:, :20].min(axis=1, keepdims=True)).all()
    np.testing.assert_allclose(got[3], got[4], atol=1e-6)  # an unknown item is no event
    assert not made.encode(np.array([[-1, -1]])).any()


def test_early_stopping_keeps_the_best_epoch() -> None:
    split = leave_one_out(walks())
    made = build("sasrec", epochs=30, patience=2, lr=0.02).fit(split.train, valid=split.valid)
    assert len(made.curve) < 30
    assert ndcg(made, split.valid) == max(e.score for e in made.curve)


@every
def test_impossible_sizes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="need"):
        build(name, dropout=1.0)
    with pytest.raises(ValueError, match="must be positive"):
        build(name, length=0)
    with pytest.raises(ValueError, match="no loss 'hinge'; there are sampled, full, bce, gbce"):
        build(name, loss="hinge")


@every
def test_with_a_temperature_scores_are_cosines(name: str) -> None:
    made = build(name, temperature=0.1).fit(walks())
    np.testing.assert_allclose(np.linalg.norm(made.item_vectors, axis=1), 1, rtol=1e-5)
    states = made.encode(np.array([[1, 2, 3], [-1, 4, 6]]))
    np.testing.assert_allclose(np.linalg.norm(states, axis=1), 10, rtol=1e-5)
