"""Ranking metrics against numbers worked by hand and one query at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import Heldout, development, leave_one_out
from policies.encoders.evaluate import (
    Ranking,
    beyond_accuracy,
    gains,
    judge,
    metrics,
    mid_ranks,
    ndcg,
    paired_difference,
    protocol,
    ranks,
)
from policies.encoders.models.markov import SkipMarkov


def test_ties_share_the_middle_rank() -> None:
    scores = np.array([[5, 3, 3, 3, 1]], np.float32)
    assert mid_ranks(scores, np.array([2], np.int32), None).tolist() == [2.0]  # places 1, 2, 3


def test_seen_items_leave_the_ranking_and_a_target_among_them_is_missed() -> None:
    scores = np.array([[5, 4, 3, 3, 1]] * 2, np.float32)
    seen = (np.array([0, 0, 0, 1]), np.array([0, 0, 3, 2], np.int32))  # 0 twice; and row 1's target
    got = mid_ranks(scores, np.array([2, 2], np.int32), seen)
    assert got.tolist() == [1.0, np.inf]  # only item 1 above
    assert all(gain[1] == 0 for gain in gains(got, 10).values())


def test_scores_that_are_no_numbers_rank_nothing() -> None:
    scores = np.array([[5, 4], [np.nan, 4]], np.float32)  # NaN compares as lower than all
    with pytest.raises(ValueError, match="1 of 2 queries hold NaN, row 1 first"):
        mid_ranks(scores, np.array([1, 1], np.int32), None)


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
        if filter_seen and target in history:
            assert got[row] == np.inf
            continue
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


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("filter_seen", [True, False, None])
@pytest.mark.parametrize("n_items", [30, 9])
def test_a_target_ranks_below_k_just_where_it_is_listed(
    repeats: bool, filter_seen: bool | None, n_items: int
) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.choice(n_items, size=8, replace=repeats) for _ in range(40)]
    held = leave_one_out(Sequences.from_lists(lists, n_items=n_items)).test
    assert held.filter_seen is not repeats
    encoder = SkipMarkov().fit(held.history)
    judged = judge(encoder, held, k=5, filter_seen=filter_seen)
    np.testing.assert_array_equal(judged.rank, ranks(encoder, held, filter_seen=filter_seen))
    leaves = held.filter_seen if filter_seen is None else filter_seen
    for row in range(len(held)):
        scores = encoder.scores(held.history[row][None])[0].copy()
        if leaves:
            scores[held.history[row]] = -np.inf
        kept = judged.top[row][judged.top[row] >= 0]
        best = -np.sort(-scores[np.isfinite(scores)])[:5]
        np.testing.assert_array_equal(scores[kept], best)
        if (scores == scores[held.target[row]]).sum() == 1:  # no tie at the end of the list
            assert (judged.rank[row] < 5) == (held.target[row] in kept)


def test_no_model_is_credited_for_answers_that_it_cannot_know() -> None:
    rng = np.random.default_rng(0)
    favourites = [rng.choice(300, 5, replace=False) for _ in range(300)]
    plays = [own[rng.integers(5, size=20)] for own in favourites]
    split = leave_one_out(Sequences.from_lists(plays, n_items=300))
    encoder = SkipMarkov().fit(split.train)
    ceiling = np.mean(1 / np.log2(np.arange(5) + 2))  # the next is any of five: ranks 0 to 4
    for held in (split.valid, split.test):
        assert 0.3 < ndcg(encoder, held) < ceiling
        assert np.isinf(ranks(encoder, held, filter_seen=True)[is_seen(held)]).all()


def is_seen(held: Heldout) -> np.ndarray:
    """(Q,) whether a target is in its own history."""
    return np.array([t in h for h, t in zip(held.history, held.target, strict=True)])


def test_one_rule_holds_for_all_queries_of_a_split() -> None:
    once = Sequences.from_lists([[0, 1, 2, 3], [4, 5, 6, 7]], n_items=8)
    again = Sequences.from_lists([[0, 1, 2, 3], [4, 5, 4, 7, 6]], n_items=8)
    for sequences, filters in ((once, True), (again, False)):
        split = leave_one_out(sequences)
        parts = (split.valid, split.test, development(split).test)
        assert [held.filter_seen for held in parts] == [filters] * 3
    assert (
        protocol(leave_one_out(once).test) == "full ranking, seen items filtered, ties at mid-rank"
    )
    assert "nothing filtered" in protocol(leave_one_out(again).test)
    own = Heldout(Sequences.from_lists([[0, 1]], n_items=3), np.array([1], np.int32))
    assert own.filter_seen is False
    forced = Heldout(own.history, own.target, filter_seen=True)
    assert ranks(SkipMarkov().fit(once), replace(forced, history=once.take([0]))).tolist() == [
        np.inf
    ]


def test_lists_are_as_long_as_there_are_items_to_list() -> None:
    for n_items in (1, 2, 5, 9):
        lists = [np.arange(4) % n_items for _ in range(6)]
        held = leave_one_out(Sequences.from_lists(lists, n_items=n_items)).test
        encoder = SkipMarkov().fit(held.history)
        judged = judge(encoder, held, filter_seen=False)
        assert np.sort(judged.top).tolist() == [list(range(n_items))] * 6
        assert metrics(judged.rank)[1].value == 1.0  # all items are recalled
        figures = beyond_accuracy(judged, held, held.history.counts())
        assert figures[f"coverage@{n_items}"] == 1.0
        left = judge(encoder, held, filter_seen=True)
        assert (left.top >= 0).sum() == 6 * max(0, n_items - 3)  # three were seen
        assert np.isfinite(list(beyond_accuracy(left, held, held.history.counts()).values())).all()
    with pytest.raises(ValueError, match="no list of k = 0 items"):
        judge(encoder, held, k=0)


def test_queries_of_another_catalogue_are_refused() -> None:
    held = leave_one_out(Sequences.from_lists([[0, 1, 2, 3]], n_items=9)).test
    other = SkipMarkov().fit(Sequences.from_lists([[0, 1]], n_items=5))
    for use in (judge, ranks, ndcg):
        with pytest.raises(ValueError, match="knows 5 items, the queries are of 9"):
            use(other, held)
    with pytest.raises(ValueError, match=r"item 9 is outside 0\.\.8"):
        Heldout(held.history, np.array([9]))
    with pytest.raises(ValueError, match=r"target\[0\] = 1.5 is not a whole number"):
        Heldout(held.history, np.array([1.5]))


def test_nothing_tested_is_no_figure() -> None:
    none = leave_one_out(Sequences.from_lists([[0, 1]], n_items=3)).test
    encoder = SkipMarkov().fit(none.history)
    assert judge(encoder, none).rank.shape == (0,)
    for figure in (lambda: metrics(np.empty(0)), lambda: ndcg(encoder, none)):
        with pytest.raises(ValueError, match="no queries"):
            figure()
    with pytest.raises(ValueError, match="no queries"):
        paired_difference(np.empty(0), np.empty(0))


def test_users_who_are_all_alike_do_not_make_certain() -> None:
    share = 1 - 0.05 ** (1 / 20)  # of others, of whom 20 users would miss all in one case of 20
    missed, hit = metrics(np.full(20, 99.0))[1], metrics(np.zeros(20))[1]
    assert (missed.value, missed.low, missed.high) == pytest.approx((0, 0, share))
    assert (hit.value, hit.low, hit.high) == pytest.approx((1, 1 - share, 1))
    alone = paired_difference(np.ones(1), np.zeros(1))
    assert (alone.low, alone.high) == pytest.approx((-0.9, 1))


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


def test_queries_of_one_session_are_drawn_together() -> None:
    """Ten equal queries of each of 40 users tell no more than one query of each."""
    rng = np.random.default_rng(0)
    one = np.where(rng.random(40) < 0.4, 0.0, np.inf)
    many, users = np.repeat(one, 10), np.repeat(np.arange(40), 10)
    alone, together, apart = (
        metrics(rank, group=group)[0] for rank, group in ((one, None), (many, users), (many, None))
    )
    assert (together.value, together.low, together.high) == (alone.value, alone.low, alone.high)
    assert apart.high - apart.low < 0.5 * (alone.high - alone.low)
