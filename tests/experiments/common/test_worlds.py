"""Worlds of real data: what is taken from the data, by hand and on MovieLens."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from experiments.common.worlds import (
    WorldSizes,
    from_data,
    interests,
    item_vectors,
    primary_topics,
    quality,
    rank_share,
    unit,
)
from experiments.data.datasets import Interactions, load
from policies import Sequences, build, collect

SIZES = WorldSizes(slate_size=3, n_candidates=20, history_length=10, max_steps=5)
DATA = os.environ.get("LONGPLAY_DATA")


def test_rank_shares_put_ties_at_their_mean() -> None:
    np.testing.assert_allclose(rank_share(np.array([5.0, 1.0, 5.0, 9.0])), [0.5, 0.125, 0.5, 0.875])


def test_quality_is_the_rank_of_the_shrunk_mean_rating() -> None:
    seq = Sequences.from_lists(
        [[0, 1], [0, 2], [0, 1]], n_items=4, rewards=[[5.0, 1.0], [5.0, 5.0], [5.0, 1.0]]
    )
    # item 0: three fives; item 2: one five, shrunk; item 3: nobody, the mean; item 1: two ones
    assert quality(seq, seq.counts().astype(float)).argsort().tolist() == [1, 3, 2, 0]
    bare = Sequences.from_lists([[0, 1]], n_items=4)
    np.testing.assert_array_equal(quality(bare, np.ones(4)), 0.5)


def test_items_that_the_same_users_take_stand_together() -> None:
    rng = np.random.default_rng(0)
    taste = [rng.permutation(np.arange(6) + 6 * (u % 2))[:4].tolist() for u in range(60)]
    seq = Sequences.from_lists(taste, n_items=12)
    vectors = item_vectors(seq, size=4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    cosine = vectors @ vectors.T
    assert cosine[:6, :6].mean() > cosine[:6, 6:].mean() + 0.3
    mine = interests(seq, vectors) @ vectors.T
    assert (mine[::2, :6].mean(axis=1) > mine[::2, 6:].mean(axis=1)).all()


def test_an_items_topic_is_the_rarest_that_it_has() -> None:
    data = Interactions(
        name="x",
        sequences=Sequences.from_lists([[0, 1, 2]], n_items=3),
        item_names=("a", "b", "c"),
        topics=np.array([[True, True], [True, False], [False, False]]),
        topic_names=("drama", "noir"),
    )
    topics, n = primary_topics(data, np.zeros((3, 2), np.float32))
    assert topics.tolist() == [1, 0, 2]
    assert n == 3


@pytest.mark.skipif(DATA is None, reason="LONGPLAY_DATA names no folder with ml-100k")
def test_users_of_the_movielens_world_begin_with_their_real_last_films() -> None:
    assert DATA is not None
    world = from_data("ml-100k", Path(DATA), SIZES)
    data = load("ml-100k", Path(DATA))
    assert isinstance(data, Interactions)
    real = {tuple(row) for row in data.sequences.histories(10).tolist()}
    env = world.make(50)
    assert env.n_items == 1682
    obs, _ = env.reset(seed=3)
    shown = {tuple(row) for row in obs["history_items"].tolist()}
    assert shown <= real
    assert len(shown) > 40
    log = collect(env, build("uniform", env), n_sessions=60, seed=1)
    assert log.prior_items is not None
    assert {tuple(row) for row in log.prior_items.tolist()} <= real


def test_an_item_that_a_user_had_again_counts_again() -> None:
    rng = np.random.default_rng(0)
    once = [rng.permutation(12)[:5].tolist() for _ in range(40)]
    again = [[*items, items[0]] if u % 2 else items for u, items in enumerate(once)]
    table = np.zeros((40, 12))
    for u, items in enumerate(again):
        np.add.at(table[u], items, 1)
    _, scale, right = np.linalg.svd(table / np.linalg.norm(table, axis=1, keepdims=True))
    want = (right[:3] * np.sqrt(scale[:3, None])).T
    got = item_vectors(Sequences.from_lists(again, n_items=12), size=3)
    np.testing.assert_allclose(  # axes may be turned, angles between items are not
        got @ got.T, unit(want) @ unit(want).T, atol=1e-5
    )


def test_a_world_of_data_in_which_pairs_come_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"u{u},i{i},{60 * k},{i % 5}"
        for u in range(30)
        for k, i in enumerate(rng.integers(0, 25, 12))
    ]
    (tmp_path / "heard.csv").write_text("user,item,timestamp,reward\n" + "\n".join(rows))
    world = from_data(str(tmp_path / "heard.csv"), None, SIZES)
    env = world.make(4)
    log = collect(env, build("uniform", env), n_sessions=4, seed=0)
    assert log.n_sessions == 4
