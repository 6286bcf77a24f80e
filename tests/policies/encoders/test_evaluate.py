"""Ranking metrics against numbers worked by hand and one query at a time."""

from __future__ import annotations

import numpy as np
import pytest

from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import Heldout, leave_one_out
from policies.encoders.evaluate import (
    Ranking,
    beyond_accuracy,
    gains,
    judge,
    metrics,
    mid_ranks,
    paired_difference,
    ranks,
)
from policies.encoders.models.markov import SkipMarkov


def test_ties_share_the_middle_rank() -> None:
    scores = np.array([[5, 3, 3, 3, 1]], np.float32)
    assert mid_ranks(scores, np.array([2], np.int32), None).tolist() == [2.0]  # places 1, 2, 3


def test_seen_items_leave_the_ranking_but_never_the_target() -> None:
    scores = np.array([[5, 4, 3, 3, 1]], np.float32)
    seen = (np.zeros(4, np.int64), np.array([0, 0, 3, 2], np.int32))  # 0 twice, and the target
    assert mid_ranks(scores, np.array([2], np.int32), seen).tolist() == [1.0]  # only item 1 above


def test_gains_by_hand() -> None:
    got = gains(np.array([0.0, 2.0, 10.0]), 10)
    np.testing.assert_allclose(got["NDCG@10"], [1, 0.5, 0])
    np.testing.assert_allclose(got["Recall@10"], [1, 1, 0])
    np.testing.assert_allclose(got["MRR@10"], [1, 1 / 3, 0])


@pytest.mark.parametrize("filter_seen", [True, False])
def test_ranks_match_one_query_at_a_time(
    filter_seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(12, size=rng.integers(3, 9)) for _ in range(30)]
    held = leave_one_out(Sequences.from_lists(lists, n_items=12)).test
    encoder = SkipMarkov().fit(held.history)
    monkeypatch.setattr("policies.encoders.evaluate.CELLS", 50)  # several blocks
    got = ranks(encoder, held, filter_seen=filter_seen)
    for row, target in enumerate(held.target):
        history = held.history[row]
        scores = encoder.scores(history[None, -5:])[0]
        rivals = [i for i in range(12) if i != target and not (filter_seen and i in history)]
        above = sum(scores[i] > scores[target] for i in rivals)
        ties = sum(scores[i] == scores[target] for i in rivals)
        assert got[row] == above + ties / 2


def test_intervals_cover_the_mean_of_users_and_move_with_the_seed() -> None:
    rng, inside = np.random.default_rng(0), 0
    truth = np.mean([1 / np.log2(r + 2) if r < 10 else 0 for r in range(40)])
    for seed in range(200):
        one = metrics(rng.integers(40, size=150).astype(float), draws=200, seed=seed)[0]
        inside += one.low <= truth <= one.high
    assert 0.90 <= inside / 200 <= 0.99
    rank = rng.integers(40, size=150).astype(float)
    assert metrics(rank, seed=1) == metrics(rank, seed=1)
    assert metrics(rank, seed=1) != metrics(rank, seed=2)


def test_judging_ranks_and_lists_agree_with_the_scores() -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(30, size=9) for _ in range(40)]
    held = leave_one_out(Sequences.from_lists(lists, n_items=30)).test
    encoder = SkipMarkov().fit(held.history)
    judged = judge(encoder, held, k=5)
    np.testing.assert_array_equal(judged.rank, ranks(encoder, held))
    for row in range(len(held)):
        scores = encoder.scores(held.history[row][None])[0].copy()
        scores[held.history[row]] = -np.inf
        np.testing.assert_array_equal(scores[judged.top[row]], -np.sort(-scores)[:5])
    with pytest.raises(ValueError, match="no list of k = 31 items: the encoder knows 30"):
        judge(encoder, held, k=31)


def test_beyond_accuracy_by_hand() -> None:
    history = Sequences.from_lists([[0], [0]], n_items=4)
    held = Heldout(history, np.array([1, 2], np.int32))
    ranking = Ranking(np.zeros(2), np.array([[1, 0], [1, 2]], np.int32))
    got = beyond_accuracy(ranking, held, np.array([7, 3, 1, 1]))  # shares 8, 4, 2, 2 of 16
    assert got == pytest.approx({
        "coverage@2": 3 / 4, "popularity_bias": 3.5 / 2, "novelty": (2 + 1 + 2 + 3) / 4
    })  # fmt: skip


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    one = rng.random(300)
    got = paired_difference(one + 0.01 + 0.01 * rng.random(300), one)
    assert 0.01 < got.low < got.value < got.high < 0.02
