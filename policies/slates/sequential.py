"""Slates drawn place by place, where what was placed above changes what may follow.

Business rules (constraints.py) and diversity (rerank.py) are terms that are added to the logits at
each place, so that the probability of the slate shown is exact whatever they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import (
    Mixture,
    PlackettLuce,
    SlateDistribution,
    TopK,
    softmax,
    softmax_at,
)

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


class Walk(Protocol):
    """A term on its way down B slates."""

    def logits(self) -> F64:
        """What is added (B, C) at the next place; -inf = must not stand there."""

    def wants(self) -> tuple[Bool, I64] | None:
        """Columns (B, C) of which so many (B,) are still wanted; None = nothing is."""

    def push(self, column: I64) -> None:
        """These columns (B,) were placed; -1 = the place stays empty."""


class Term(Protocol):
    """A rule or a taste for B users; `start` begins at the first place."""

    def start(self, places: int) -> Walk: ...


@dataclass(frozen=True, slots=True, eq=False)
class Sequential:
    """Softmax of logits + terms at each place, or their best column; never a column twice.

    logits: (B, C), -inf = not eligible.
    """

    base: F64
    places: int
    terms: tuple[Term, ...]
    greedy: bool

    def sample(self, rng: np.random.Generator) -> I32:
        return self._walk(self.places, rng)

    def ranking(self, places: int) -> I32:
        return self._walk(places, None)

    def prefix(self, slate: I32) -> F64:
        going, left = [t.start(self.places) for t in self.terms], self.base.copy()
        reached, out = np.ones(len(slate)), np.empty(slate.shape)
        for place in range(slate.shape[1]):
            column = slate[:, place].astype(np.int64)
            now = next_logits(left, going, slate.shape[1] - place)
            chance, none = self._chance_of(now, np.maximum(column, 0))
            reached = reached * np.where(column >= 0, chance, none)
            out[:, place] = reached
            push(left, going, column)
        return out

    def first_place(self) -> F64:
        going = [t.start(self.places) for t in self.terms]
        now = next_logits(self.base, going, self.places)
        if not self.greedy:
            return softmax(now)
        best = now.argmax(axis=1)
        out = np.zeros(now.shape)
        out[np.arange(len(now)), best], _ = self._chance_of(now, best)
        return out

    def _chance_of(self, now: F64, column: I64) -> tuple[F64, Bool]:
        """Probability (B,) that the column is next, and where none can be."""
        if not self.greedy:
            return softmax_at(now, column)
        best = now.argmax(axis=1)
        none = np.isneginf(now[np.arange(len(now)), best])
        return ((column == best) & ~none).astype(np.float64), none

    def _walk(self, places: int, rng: np.random.Generator | None) -> I32:
        """Slates (B, places): drawn, or the likeliest next column at each place without `rng`."""
        going, left = [t.start(places) for t in self.terms], self.base.copy()
        rows, out = np.arange(len(left)), np.empty((len(left), places), np.int32)
        for place in range(places):
            now = next_logits(left, going, places - place)
            if rng is not None and not self.greedy:
                now = now + rng.gumbel(size=now.shape)
            column = now.argmax(axis=1)
            column = np.where(np.isneginf(now[rows, column]), -1, column)
            out[:, place] = column
            push(left, going, column)
        return out


def with_terms(d: SlateDistribution, terms: tuple[Term, ...]) -> SlateDistribution:
    """The same distribution under more terms, part by part.

    Raises ValueError for a distribution of another kind without a method `with_terms` of its own.
    """
    if isinstance(d, PlackettLuce):
        return Sequential(d.logits, d.places, terms, greedy=False)
    if isinstance(d, TopK):
        return Sequential(d.scores, d.places, terms, greedy=True)
    if isinstance(d, Sequential):
        return Sequential(d.base, d.places, d.terms + terms, d.greedy)
    if isinstance(d, Mixture):
        return Mixture(tuple(with_terms(part, terms) for part in d.parts), d.weights)
    if hasattr(d, "with_terms"):
        own: SlateDistribution = d.with_terms(terms)
        return own
    raise ValueError(
        f"rules cannot be put on a {type(d).__name__}: serve Plackett-Luce, TopK or a Mixture of "
        "them, or give the distribution a method with_terms(terms)"
    )


def next_logits(left: F64, going: list[Walk], places: int) -> F64:
    """Logits (B, C) of the next of so many places.

    Where all places left are wanted, only what is wanted may stand, if any of it can.
    """
    now = left.copy()
    for walk in going:
        now += walk.logits()
    wanted = [w for w in (walk.wants() for walk in going) if w is not None]
    if wanted:
        need = np.sum([np.maximum(n, 0) for _, n in wanted], axis=0)
        member = np.zeros(now.shape, np.bool_)
        for columns, left_over in wanted:
            member |= columns & (left_over > 0)[:, None]
        only = np.where(member, now, -np.inf)
        urgent: Bool = (need >= places) & ~np.isneginf(only).all(axis=1)
        now = np.where(urgent[:, None], only, now)
    return now


def push(left: F64, going: list[Walk], column: I64) -> None:
    """In place: the columns are taken."""
    shown = np.flatnonzero(column >= 0)
    left[shown, column[shown]] = -np.inf
    for walk in going:
        walk.push(column)
