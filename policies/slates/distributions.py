"""Distributions over ordered slates: exact sampling and exact probabilities, from one object.

B users, C columns (candidates, or the whole catalogue), K places. A slate is (B, K) column numbers
in the order shown; -1 is an empty place, which happens only when no eligible column is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.slates.race import chances, raced

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]


class RandomSource(Protocol):
    """What slates are drawn with: a numpy Generator, or `row_streams.RowStreams`, where a row draws
    the same in any batch. Every call draws for all B rows, the first axis of `size`."""

    def gumbel(self, *, size: tuple[int, ...]) -> F64: ...

    def integers(self, low: int, /, *, size: int) -> NDArray[np.int64]: ...

    def choice(self, a: int, /, *, size: int, p: Sequence[float]) -> NDArray[np.int64]: ...


class SlateDistribution(Protocol):
    """A probability for every ordered slate without repeats."""

    def sample(self, rng: RandomSource) -> I32:
        """One slate per user, (B, K)."""

    def prefix(self, slate: I32) -> F64:
        """Probability (B, K) that the first l places are those of `slate`, for l = 1..K."""

    def first_place(self) -> F64:
        """Probability (B, C) of each column to stand first."""

    def ranking(self, places: int) -> I32:
        """The columns it favours, best first (B, places), whatever its own number of places."""


@dataclass(frozen=True, slots=True, eq=False)
class PlackettLuce:
    """Softmax choice place by place, without replacement. Plackett (1975); Luce (1959).

    logits: (B, C), -inf = not eligible.
    """

    logits: F64
    places: int

    def __post_init__(self) -> None:
        _check_table("logits", self.logits)

    def sample(self, rng: RandomSource) -> I32:
        return raced(self.logits, self.places, rng)[0]

    def prefix(self, slate: I32) -> F64:
        return chances(self.logits, slate)

    def first_place(self) -> F64:
        if not self.logits.any():  # all alike
            return np.full(self.logits.shape, 1.0 / self.logits.shape[1])
        return softmax(self.logits)

    def ranking(self, places: int) -> I32:
        return top_places(self.logits, places)


@dataclass(frozen=True, slots=True, eq=False)
class TopK:
    """The K best columns in order, surely; ties go to the lower column.

    scores: (B, C), -inf = not eligible.
    """

    scores: F64
    places: int

    def __post_init__(self) -> None:
        _check_table("scores", self.scores)

    def sample(self, rng: RandomSource) -> I32:
        return top_places(self.scores, self.places)

    def prefix(self, slate: I32) -> F64:
        same = slate == top_places(self.scores, self.places)
        return np.logical_and.accumulate(same, axis=1).astype(np.float64)

    def first_place(self) -> F64:
        out = np.zeros(self.scores.shape)
        best = top_places(self.scores, 1)[:, 0]
        out[np.arange(len(out)), np.maximum(best, 0)] = best >= 0
        return out

    def ranking(self, places: int) -> I32:
        return top_places(self.scores, places)


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """One of several distributions is picked per slate: exploration with an exact propensity."""

    parts: tuple[SlateDistribution, ...]
    weights: tuple[float, ...]  # >= 0, sum to 1

    def __post_init__(self) -> None:
        numbers = all(isinstance(w, Real) for w in self.weights)
        whole = (
            numbers and len(self.parts) == len(self.weights) and abs(sum(self.weights) - 1) <= 1e-9
        )
        if not whole or min(self.weights) < 0:
            raise ValueError(
                f"a mixture of {len(self.parts)} needs weights of at least 0 that sum to 1, got "
                f"{self.weights}"
            )

    def sample(self, rng: RandomSource) -> I32:
        drawn = np.stack([part.sample(rng) for part in self.parts])  # (M, B, K)
        pick = rng.choice(len(self.parts), size=drawn.shape[1], p=self.weights)
        slate: I32 = drawn[pick, np.arange(drawn.shape[1])]
        return slate

    def prefix(self, slate: I32) -> F64:
        return sum_weighted([part.prefix(slate) for part in self.parts], self.weights)

    def first_place(self) -> F64:
        return sum_weighted([part.first_place() for part in self.parts], self.weights)

    def ranking(self, places: int) -> I32:
        return self.parts[int(np.argmax(self.weights))].ranking(places)


def _check_table(name: str, x: F64) -> None:
    if not isinstance(x, np.ndarray) or x.ndim != 2 or not x.shape[1] or x.dtype.kind != "f":
        raise ValueError(
            f"{name} must be an array (B, C) of real numbers, a row for each user and a column for "
            f"each of 1 or more candidates, got {type(x).__name__} {np.shape(x)}"
        )


def drawn(d: SlateDistribution, rng: RandomSource) -> tuple[I32, F64]:
    """One slate per user (B, K) and its prefix probabilities (B, K); a distribution that has both
    from one pass has a method of this name."""
    if type(d) is PlackettLuce:  # a subclass may have a `sample` or `prefix` of its own
        return raced(d.logits, d.places, rng)
    at_once: Callable[[RandomSource], tuple[I32, F64]] | None = getattr(d, "drawn", None)
    if at_once is not None:
        return at_once(rng)
    slate = d.sample(rng)
    return slate, d.prefix(slate)


def explore(
    best: SlateDistribution, eligible_logits: F64, places: int, epsilon: float
) -> SlateDistribution:
    """`best` with probability 1 - epsilon, else a uniform slate of the eligible columns."""
    if epsilon == 0:
        return best
    flat = np.where(np.isneginf(eligible_logits), -np.inf, 0.0)
    return Mixture((best, PlackettLuce(flat, places)), (1 - epsilon, epsilon))


def masked(scores: NDArray[np.floating], eligible: Bool | None) -> F64:
    """Scores (B, C) as float64, -inf where a column must not be shown.

    Raises ValueError on a score that is not a number: a policy must not rank by NaN in silence.
    """
    out = np.asarray(scores, dtype=np.float64)
    if not out.max(initial=-np.inf) < np.inf:  # a maximum is NaN where any number is
        row, column = np.argwhere(~(out < np.inf))[0]
        raise ValueError(
            f"score[{row}, {column}] is {out[row, column]}: scores must be finite "
            "(or -inf = not eligible)"
        )
    return out if eligible is None else np.where(eligible, out, -np.inf)


def top_places(scores: F64, places: int) -> I32:
    """Columns of the K largest scores, best first (B, K); -1 where only -inf is left."""
    width = scores.shape[1]
    k = min(places, width)
    if k == 1:
        part = scores.argmax(axis=1)[:, None]
    elif k < width:
        # every score above the k-th, and of the equal ones the lowest columns: a stable sort of few
        part = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        kth = np.take_along_axis(scores, part, axis=1).min(axis=1, keepdims=True)
        if ((scores >= kth).sum(axis=1) > k).any():  # a tie across the border
            part = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        part.sort(axis=1)
    else:
        part = np.broadcast_to(np.arange(width), scores.shape)
    value = np.take_along_axis(scores, part, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    best = np.take_along_axis(part, order, axis=1)
    best = np.where(np.isneginf(np.take_along_axis(value, order, axis=1)), -1, best)
    if k < places:
        best = np.concatenate([best, np.full((len(best), places - k), -1)], axis=1)
    return best.astype(np.int32)


def softmax(logits: F64) -> F64:
    """Row softmax (B, C); a row of -inf gives zeros."""
    top = logits.max(axis=1, keepdims=True)
    none = top == -np.inf
    if none.any():
        top[none] = 0.0
    p: F64 = logits - top
    np.exp(p, out=p)
    total = p.sum(axis=1, keepdims=True)
    total[none] = 1.0
    p /= total
    return p


def softmax_at(logits: F64, column: NDArray[np.integer[Any]]) -> tuple[F64, Bool]:
    """The softmax (B,) of one column of each row, and which rows are -inf throughout."""
    top = logits.max(axis=1, keepdims=True)
    none: Bool = top[:, 0] == -np.inf
    if none.any():
        top[none] = 0.0
    p = logits - top
    np.exp(p, out=p)
    total, mine = p.sum(axis=1), p[np.arange(len(p)), column]
    share: F64 = np.divide(mine, total, out=np.zeros_like(mine), where=total > 0)
    return share, none


def sum_weighted(values: list[F64], weights: tuple[float, ...]) -> F64:
    """Weighted sum of equally shaped arrays."""
    out = np.zeros_like(values[0])
    for value, weight in zip(values, weights, strict=True):
        out += weight * value
    return out
