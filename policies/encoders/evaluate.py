"""Ranking metrics of next-item prediction over the full catalogue, with intervals over users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.encoders.base import F32, Encoder
from policies.encoders.data.splits import Heldout

F64 = NDArray[np.float64]
CELLS = 1 << 23  # scores in memory at once


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean over queries and its bootstrap interval."""

    name: str
    value: float
    low: float
    high: float


def mid_ranks(
    scores: F32, target: NDArray[np.int32], seen: tuple[NDArray[np.int64], NDArray[np.int32]] | None
) -> F64:
    """(B,) 0-based rank of each target: items above it plus half of its ties.

    `seen` = (rows, items) leave the ranking, whatever they are: a target among them has rank inf.

    Raises:
        ValueError: a score is NaN.
    """
    wrong = np.isnan(scores.max(axis=1, initial=-np.inf))
    if wrong.any():
        raise ValueError(
            f"scores of {int(wrong.sum())} of {len(scores)} queries hold NaN, row "
            f"{int(np.argmax(wrong))} first: the encoder diverged; lower its learning rate"
        )
    rows = np.arange(len(scores))
    target_score = scores[rows, target][:, None]  # (B, 1)
    above, ties = (scores > target_score).sum(axis=1), (scores == target_score).sum(axis=1)
    missed = np.zeros(len(rows), np.bool_)
    if seen is not None:
        row, item = _distinct(seen, scores.shape[1])
        missed[row[item == target[row]]] = True
        score = scores[row, item]
        above -= np.bincount(row[score > target_score[row, 0]], minlength=len(rows))
        ties -= np.bincount(row[score == target_score[row, 0]], minlength=len(rows))
    return np.where(missed, np.inf, above + (ties - 1) / 2)


def _distinct(
    seen: tuple[NDArray[np.int64], NDArray[np.int32]], n_items: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    code = np.unique(seen[0] * n_items + seen[1])
    return code // n_items, code % n_items


@dataclass(frozen=True, slots=True)
class QueryBlock:
    """Some of the queries of a held-out part, scored over the full catalogue."""

    rows: NDArray[np.int64]  # (B,) which queries
    scores: F32  # (B, A)
    target: NDArray[np.int32]  # (B,)
    seen: tuple[NDArray[np.int64], NDArray[np.int32]] | None  # (row, item) pairs to leave out

    def ranks(self) -> F64:
        """(B,) mid-rank of each target, inf where it is left out."""
        return mid_ranks(self.scores, self.target, self.seen)

    def best(self, k: int) -> NDArray[np.int64]:
        """(B, k) best items that are not left out, in order; -1 where there are fewer."""
        scores = np.maximum(self.scores, np.finfo(np.float32).min)  # a copy above what is left out
        if self.seen is not None:
            scores[self.seen] = -np.inf
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        best = np.take_along_axis(scores, top, 1)
        order = np.argsort(-best, axis=1, kind="stable")
        top = np.where(np.isneginf(best), -1, top)
        return np.take_along_axis(top, order, 1)


def protocol(held: Heldout) -> str:
    """The rule by which queries are ranked, for printing beside the figures."""
    seen = "seen items filtered" if held.filter_seen else "nothing filtered (users repeat items)"
    return f"full ranking, {seen}, ties at mid-rank"


def score_blocks(
    encoder: Encoder, held: Heldout, *, filter_seen: bool | None = None
) -> Iterator[QueryBlock]:
    """All queries with their scores, a block at a time; `filter_seen` None: as the queries say."""
    if encoder.n_items != held.history.n_items:
        raise ValueError(
            f"the encoder knows {encoder.n_items} items, the queries are of "
            f"{held.history.n_items}: fit and judge on parts of one catalogue"
        )
    size = max(1, CELLS // encoder.n_items)
    leave_out = held.filter_seen if filter_seen is None else filter_seen
    for first in range(0, len(held), size):
        rows = np.arange(first, min(first + size, len(held)))
        history = held.history.take(rows)
        seen = (history.owner, history.items) if leave_out else None
        scores = encoder.scores(history.histories(encoder.context_length))
        yield QueryBlock(rows, scores, held.target[rows], seen)


@dataclass(frozen=True, slots=True)
class Ranking:
    """An encoder's ranking of the catalogue for Q queries.

    By one rule: a target ranks below K where it is in the list, but for ties with the list's end.
    """

    rank: F64  # (Q,) mid-rank of each target (0 = first), inf where it was seen and so filtered
    top: NDArray[np.int32]  # (Q, K) best items in order, -1 where fewer are left


def judge(
    encoder: Encoder, held: Heldout, *, k: int = 10, filter_seen: bool | None = None
) -> Ranking:
    """Ranks of the targets and lists of the best k items, or of all items where they are fewer.

    filter_seen: whether a query's own history leaves both; None: as the queries say.

    Raises:
        ValueError: k < 1, an encoder of another catalogue, or a score is NaN.
    """
    if k < 1:
        raise ValueError(f"no list of k = {k} items: k is 1 or more")
    k = min(k, encoder.n_items)
    rank, top = np.empty(len(held)), np.empty((len(held), k), np.int32)
    for block in score_blocks(encoder, held, filter_seen=filter_seen):
        rank[block.rows], top[block.rows] = block.ranks(), block.best(k)
    return Ranking(rank, top)


def ranks(encoder: Encoder, held: Heldout, *, filter_seen: bool | None = None) -> F64:
    """(Q,) mid-rank of each query's target (0 = first, inf = filtered), as in `judge`."""
    parts = [b.ranks() for b in score_blocks(encoder, held, filter_seen=filter_seen)]
    return np.concatenate(parts) if parts else np.empty(0)


def beyond_accuracy(ranking: Ranking, held: Heldout, counts: NDArray[np.int64]) -> dict[str, float]:
    """The lists' coverage of the catalogue, popularity and novelty.

    coverage: share of all items in any list. popularity_bias: mean training count of listed items
    over that of the items that users took; 1 = as popular as what users take. novelty: mean
    -log2 share of training events of listed items, in bits.
    """
    share = (counts + 1) / (counts + 1).sum()
    listed = ranking.top[ranking.top >= 0]
    figures = {f"coverage@{ranking.top.shape[1]}": len(np.unique(listed)) / len(counts)}
    if not len(listed):  # every user has seen every item
        return figures
    return figures | {
        "popularity_bias": float(counts[listed].mean() / max(counts[held.target].mean(), 1e-9)),
        "novelty": float(-np.log2(share[listed]).mean()),
    }


def paired_difference(
    one: F64,
    other: F64,
    *,
    group: NDArray[np.int64] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Metric:
    """Mean of one - other over the same queries, both in 0..1, with its bootstrap interval; `group`
    as in `metrics`.

    Raises:
        ValueError: no queries.
    """
    gap = (one - other)[:, None]
    low, high = _interval(gap, -1.0, level, draws, seed, group)
    return Metric("difference", float(gap.mean()), float(low[0]), float(high[0]))


def gains(rank: F64, k: int) -> dict[str, F64]:
    """Each query's NDCG, Recall and MRR at k for one relevant item at 0-based `rank`."""
    inside = rank <= k - 1
    return {
        f"NDCG@{k}": inside / np.log2(rank + 2),
        f"Recall@{k}": inside.astype(np.float64),
        f"MRR@{k}": inside / (rank + 1),
    }


def metrics(
    rank: F64,
    *,
    at: tuple[int, ...] = (10,),
    group: NDArray[np.int64] | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> list[Metric]:
    """NDCG, Recall and MRR at each k, with percentile intervals over resampled queries.

    With `group` (Q,), whose query each is, a user's queries are drawn together.

    Raises:
        ValueError: no queries.
    """
    named = {name: gain for k in at for name, gain in gains(rank, k).items()}
    columns = np.stack(list(named.values()), axis=1)  # (Q, M)
    low, high = _interval(columns, 0.0, level, draws, seed, group)
    means = columns.mean(axis=0)
    return [Metric(n, *map(float, row)) for n, *row in zip(named, means, low, high, strict=True)]


def _interval(
    columns: F64,
    least: float,
    level: float,
    draws: int,
    seed: int,
    group: NDArray[np.int64] | None,
) -> tuple[F64, F64]:
    """(M,) ends of percentile intervals of the means of (Q, M) values in least..1.

    Values that are all alike do not vary in a resample. At most a share u of all queries then has
    others, 1 - (1 - u)^Q = level, and the interval is what that share can move (Hanley and
    Lippman-Hand, 1983).
    """
    if not len(columns):
        raise ValueError("no queries: there is nothing to take the mean of")
    means = bootstrap_means(columns, draws, np.random.default_rng(seed), group)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    alike, value = (columns == columns[0]).all(axis=0), columns[0]
    other = 1 - (1 - level) ** (1 / len(columns))
    low = np.where(alike, value + other * (least - value), low)
    return low, np.where(alike, value + other * (1 - value), high)


def bootstrap_means(
    columns: F64, draws: int, rng: np.random.Generator, group: NDArray[np.int64] | None = None
) -> F64:
    """(Q, M) values -> (draws, M) means over queries drawn with replacement, those of one group
    together."""
    sizes = np.ones(len(columns))
    if group is not None:
        known, code = np.unique(group, return_inverse=True)
        if len(known) < len(group):
            sizes = np.bincount(code).astype(np.float64)
            columns = np.stack([np.bincount(code, one) for one in columns.T], axis=1)  # sums
    count = len(columns)
    out = np.empty((draws, columns.shape[1]))
    for draw in range(draws):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        out[draw] = times @ columns / (times @ sizes)
    return out


def ndcg(encoder: Encoder, held: Heldout, *, k: int = 10) -> float:
    """Mean NDCG@k under the queries' own rule: the score of early stopping.

    Raises:
        ValueError: no queries.
    """
    check_queries(held)
    return float(gains(ranks(encoder, held), k)[f"NDCG@{k}"].mean())


def check_queries(held: Heldout) -> None:
    """Raise ValueError where there is nothing to validate on."""
    if not len(held):
        raise ValueError("no queries to validate on: leave `valid` out, or hold events out for it")
