"""SASRec keeps the encoder contract and learns what a chain cannot miss."""

from __future__ import annotations

import numpy as np
import pytest

from policies.encoders.packed import pack
from policies.encoders.sasrec import SASRec, SASRecConfig
from policies.encoders.sequences import Sequences

SMALL = {"dim": 16, "length": 8, "epochs": 2, "batch_tokens": 200, "negatives": 8}


def walks(users: int = 80, items: int = 20, seed: int = 0) -> Sequences:
    """Users walk a ring of items with steps +1 and +2 in turn: the next item needs two events."""
    rng = np.random.default_rng(seed)
    lists = []
    for _ in range(users):
        steps = np.resize([1, 2] if rng.random() < 0.5 else [2, 1], rng.integers(6, 25))
        lists.append((rng.integers(items) + np.cumsum(steps)) % items)
    return Sequences.from_lists(lists, n_items=items)


def test_it_learns_a_rule_that_needs_two_events() -> None:
    made = SASRec(SASRecConfig(**SMALL | {"epochs": 30, "lr": 1e-2, "dropout": 0.0}))
    made.fit(walks())
    best = made.scores(np.array([[-1, -1, 3, 4], [-1, -1, 2, 4]])).argmax(axis=1)
    assert best.tolist() == [6, 5]  # after +1 comes +2, after +2 comes +1


def test_the_same_seed_gives_the_same_scores_and_another_seed_does_not() -> None:
    ids = np.array([[1, 2, 3]])
    one, two, other = (
        SASRec(SASRecConfig(**SMALL, seed=s)).fit(walks()).scores(ids) for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, other)


def test_learning_draws_nothing_from_the_global_streams() -> None:
    import torch

    before = torch.get_rng_state()
    SASRec(SASRecConfig(**SMALL)).fit(walks())
    assert torch.equal(before, torch.get_rng_state())


def test_the_state_of_the_last_event_alone_equals_the_full_pass() -> None:
    made = SASRec(SASRecConfig(**SMALL)).fit(walks())
    data = walks(seed=1)
    start = np.maximum(data.offsets[1:] - 8, data.offsets[:-1])
    packed = pack(data.items, start, data.offsets[1:])
    full = made._net(packed)[packed.last].detach().numpy()
    got = made.encode(data.histories(8))[packed.order]
    np.testing.assert_allclose(got, full, atol=1e-5)


def test_scores_are_states_times_item_vectors_and_rows_do_not_mix() -> None:
    made = SASRec(SASRecConfig(**SMALL)).fit(walks())
    ids = walks(seed=2).histories(8)
    ids = np.concatenate([ids, ids[:5]])  # equal histories, computed once
    np.testing.assert_allclose(made.scores(ids), made.encode(ids) @ made.item_vectors.T, atol=1e-5)
    alone = np.concatenate([made.encode(row[None]) for row in ids])
    np.testing.assert_allclose(made.encode(ids), alone, atol=1e-5)


def test_empty_and_unknown_histories_fall_back_to_popularity() -> None:
    lists = [list(one) for one in walks()]
    made = SASRec(SASRecConfig(**SMALL)).fit(Sequences.from_lists(lists, n_items=22))
    got = made.scores(np.array([[-1, -1], [-1, 21], [3, 4], [3, 21], [-1, 3]]))
    counts = np.bincount(np.concatenate(lists), minlength=22) + 1
    np.testing.assert_allclose(got[:2], np.log(counts / counts.sum())[None].repeat(2, 0), rtol=1e-5)
    assert (got[2:, 20:] <= got[2:, :20].min(axis=1, keepdims=True)).all()
    np.testing.assert_allclose(got[3], got[4])  # an unknown item is no event
    assert not made.encode(np.array([[-1, -1]])).any()


def test_early_stopping_keeps_the_best_epoch() -> None:
    from policies.encoders.evaluate import ndcg
    from policies.encoders.splits import leave_one_out

    split = leave_one_out(walks())
    made = SASRec(SASRecConfig(**SMALL | {"epochs": 30, "patience": 2, "lr": 0.02}))
    made.fit(split.train, valid=split.valid)
    assert ndcg(made, split.valid) == max(e.score for e in made.curve)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="even dim / heads"):
        SASRecConfig(dim=30, heads=4)
