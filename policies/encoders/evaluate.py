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

    `seen` = (rows, items) leave the ranking, except where they are the target themselves.
    """
    rows = np.arange(len(scores))
    target_score = scores[rows, target][:, None]  # (B, 1)
    above, ties = (scores > target_score).sum(axis=1), (scores == target_score).sum(axis=1)
    if seen is not None:
        row, item = _distinct(seen, scores.shape[1])
        other = item != target[row]
        row, score = row[other], scores[row[other], item[other]]
        above -= np.bincount(row[score > target_score[row, 0]], minlength=len(rows))
        ties -= np.bincount(row[score == target_score[row, 0]], minlength=len(rows))
    return np.asarray(above + (ties - 1) / 2, np.float64)


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
        """(B,) mid-rank of each target."""
        return mid_ranks(self.scores, self.target, self.seen)

    def best(self, k: int) -> NDArray[np.int64]:
        """(B, k) best items that are not left out, in order."""
        scores = np.array(self.scores)
        if self.seen is not None:
            scores[self.seen] = -np.inf
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        return np.take_along_axis(top, order, 1)


def score_blocks(
    encoder: Encoder, held: Heldout, *, filter_seen: bool = True
) -> Iterator[QueryBlock]:
    """All queries with their scores, a block at a time."""
    size = max(1, CELLS // encoder.n_items)
    for first in range(0, len(held), size):
        rows = np.arange(first, min(first + size, len(held)))
        history = held.history.take(rows)
        seen = (history.owner, history.items) if filter_seen else None
        scores = encoder.scores(history.histories(encoder.context_length))
        yield QueryBlock(rows, scores, held.target[rows], seen)


@dataclass(frozen=True, slots=True)
class Ranking:
    """An encoder's ranking of the catalogue for Q queries."""

    rank: F64  # (Q,) mid-rank of each target among the whole catalogue (0 = first)
    top: NDArray[np.int32]  # (Q, K) best items, in order


def judge(encoder: Encoder, held: Heldout, *, k: int = 10, filter_seen: bool = True) -> Ranking:
    """Ranks of the targets and lists of the best k items, over the full catalogue.

    Raises:
        ValueError: k is outside 1..A.
    """
    if not 1 <= k <= encoder.n_items:
        raise ValueError(f"no list of k = {k} items: the encoder knows {encoder.n_items}; lower k")
    rank, top = np.empty(len(held)), np.empty((len(held), k), np.int32)
    for block in score_blocks(encoder, held, filter_seen=filter_seen):
        rank[block.rows], top[block.rows] = block.ranks(), block.best(k)
    return Ranking(rank, top)


def ranks(encoder: Encoder, held: Heldout, *, filter_seen: bool = True) -> F64:
    """(Q,) mid-rank of each query's target among the whole catalogue (0 = first)."""
    parts = [b.ranks() for b in score_blocks(encoder, held, filter_seen=filter_seen)]
    return np.concatenate(parts) if parts else np.empty(0)


def beyond_accuracy(ranking: Ranking, held: Heldout, counts: NDArray[np.int64]) -> dict[str, float]:
    """The lists' coverage of the catalogue, popularity and novelty.

    coverage: share of all items in any list. popularity_bias: mean training count of listed items
    over that of the items that users took; 1 = as popular as what users take. novelty: mean
    -log2 share of training events of listed items, in bits.
    """
    share = (counts + 1) / (counts + 1).sum()
    return {
        f"coverage@{ranking.top.shape[1]}": len(np.unique(ranking.top)) / len(counts),
        "popularity_bias": float(
            counts[ranking.top].mean() / max(counts[held.target].mean(), 1e-9)
        ),
        "novelty": float(-np.log2(share[ranking.top]).mean()),
    }


def paired_difference(
    one: F64, other: F64, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Metric:
    """Mean of one - other over the same queries, with its bootstrap interval."""
    rng, gap = np.random.default_rng(seed), (one - other)[:, None]
    means = bootstrap_means(gap, draws, rng)[:, 0]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Metric("difference", float(gap.mean()), float(low), float(high))


def gains(rank: F64, k: int) -> dict[str, F64]:
    """Each query's NDCG, Recall and MRR at k for one relevant item at 0-based `rank`."""
    inside = rank <= k - 1
    return {
        f"NDCG@{k}": inside / np.log2(rank + 2),
        f"Recall@{k}": inside.astype(np.float64),
        f"MRR@{k}": inside / (rank + 1),
    }


def metrics(
    rank: F64, *, at: tuple[int, ...] = (10,), level: float = 0.95, draws: int = 1000, seed: int = 0
) -> list[Metric]:
    """NDCG, Recall and MRR at each k, with percentile intervals over resampled queries."""
    rng = np.random.default_rng(seed)
    named = {name: gain for k in at for name, gain in gains(rank, k).items()}
    columns = np.stack(list(named.values()), axis=1)  # (Q, M)
    low, high = np.quantile(
        bootstrap_means(columns, draws, rng), [(1 - level) / 2, (1 + level) / 2], axis=0
    )
    means = columns.mean(axis=0)
    return [Metric(n, *map(float, row)) for n, *row in zip(named, means, low, high, strict=True)]


def bootstrap_means(columns: F64, draws: int, rng: np.random.Generator) -> F64:
    """(Q, M) values -> (draws, M) means over queries drawn with replacement."""
    count = len(columns)
    out = np.empty((draws, columns.shape[1]))
    for draw in range(draws):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        out[draw] = times @ columns / count
    return out


def ndcg(encoder: Encoder, held: Heldout, *, k: int = 10) -> float:
    """Mean NDCG@k, seen items filtered: the score of early stopping."""
    return float(gains(ranks(encoder, held), k)[f"NDCG@{k}"].mean())
