"""Slates drawn place by place, where what was placed above changes what may follow.

Slate constraints and re-ranking objectives (policies/rules) are adjustments that are added to the
logits at each place, so that the probability of the slate shown is exact whatever they do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.slates.counted import GroupCount, fill
from policies.slates.distributions import (
    Mixture,
    PlackettLuce,
    RandomSource,
    SlateDistribution,
    TopK,
    softmax,
    softmax_at,
)
from policies.slates.row_streams import RowStreams

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

AT_ONCE = 2**14  # numbers (128 kB) of all places together that are worked on at once


class SlateState(Protocol):
    """What an adjustment knows of B slates that are filled from the top."""

    def logits(self) -> F64:
        """What is added (B, C) at the next place; -inf = must not stand there."""

    def required(self) -> tuple[Bool, I64] | None:
        """Columns (B, C) of which so many (B,) must still be placed; None = of none."""

    def place(self, column: I64) -> None:
        """These columns (B,) were placed; -1 = the place stays empty."""


Adjustment = Callable[[], SlateState]  # the state before the first place, for the same B users


@dataclass(frozen=True, slots=True, eq=False)
class Sequential:
    """At each place the softmax of logits + adjustments, or its best column; no column twice.

    logits: (B, C), -inf = not eligible.
    """

    base: F64
    places: int
    adjustments: tuple[Adjustment, ...]
    greedy: bool

    def sample(self, rng: RandomSource) -> I32:
        return self._filled(self.places, rng)

    def drawn(self, rng: RandomSource) -> tuple[I32, F64]:
        """A sample and its `prefix`, in one pass."""
        chances = np.empty((len(self.base), self.places))
        slate = self._filled(self.places, rng, chances)
        return slate, np.multiply.accumulate(chances, axis=1)

    def ranking(self, places: int) -> I32:
        return self._filled(places, None)

    def prefix(self, slate: I32) -> F64:
        states, left = [start() for start in self.adjustments], self.base.copy()
        reached, out = np.ones(len(slate)), np.empty(slate.shape)
        for place in range(slate.shape[1]):
            column = slate[:, place].astype(np.int64)
            now = next_logits(left, states, slate.shape[1] - place)
            chance, none = self._chance_of(now, np.maximum(column, 0))
            reached = reached * np.where(column >= 0, chance, none)
            out[:, place] = reached
            place_columns(left, states, column)
        return out

    def first_place(self) -> F64:
        now = next_logits(self.base, [start() for start in self.adjustments], self.places)
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

    def _filled(self, places: int, rng: RandomSource | None, chances: F64 | None = None) -> I32:
        """Slates (B, places): drawn, or the likeliest next column at each place without `rng`. The
        chance of each place is written to `chances` (B, places)."""
        states, left = [start() for start in self.adjustments], self.base.copy()
        rows, out = np.arange(len(left)), np.empty((len(left), places), np.int32)
        drawn = rng is not None and not self.greedy
        noise = gumbels(rng, left.shape, places) if rng is not None and drawn else None
        at_once = chances is not None and left.size * places <= AT_ONCE
        counts = [one for state in states if (one := counted(state)) is not None]
        if at_once and noise is not None and 0 < len(states) == len(counts):
            assert chances is not None
            out, logits = fill(left, np.stack([*noise], axis=1), counts)
            self._chances_of(logits, out, chances)
            return out
        seen = list[F64]()
        for place in range(places):
            now = next_logits(left, states, places - place)
            column = (now if noise is None else next(noise) + now).argmax(axis=1)
            if at_once:
                seen.append(now)
            elif chances is not None:
                chances[:, place] = self._chance_of(now, column)[0]
            none = now[rows, column] == -np.inf
            if none.any():
                column[none] = -1
            out[:, place] = column
            place_columns(left, states, column)
        if at_once and chances is not None:
            self._chances_of(np.stack(seen), out, chances)
        elif chances is not None:
            chances[out < 0] = 1.0
        return out

    def _chances_of(self, logits: F64, slate: I32, out: F64) -> None:
        """The chance (B, K) of each place of slates (B, K), whose logits were (K, B, C); of an
        empty one 1."""
        every = np.maximum(slate.T.ravel(), 0)
        found = self._chance_of(logits.reshape(len(every), -1), every)[0]
        out[:] = found.reshape(len(logits), -1).T
        out[slate < 0] = 1.0


def counted(state: SlateState) -> GroupCount | None:
    """What a state counts, where that is all that it does."""
    found: GroupCount | None = getattr(state, "counted", None)
    return found


def gumbels(rng: RandomSource, shape: tuple[int, ...], places: int) -> Iterator[F64]:
    """Gumbel noise (B, C) for one place after another. Streams of rows give that of all places at
    once, the same numbers, where it is not much."""
    if isinstance(rng, RowStreams) and math.prod(shape) * places <= AT_ONCE:
        every = rng.gumbel(size=(shape[0], places, *shape[1:]))
        return (every[:, place] for place in range(places))
    return (rng.gumbel(size=shape) for _ in range(places))


def adjusted(d: SlateDistribution, adjustments: tuple[Adjustment, ...]) -> SlateDistribution:
    """The same distribution under more adjustments, part by part.

    Raises ValueError for a distribution of another kind without a method `adjusted` of its own.
    """
    if isinstance(d, PlackettLuce):
        return Sequential(d.logits, d.places, adjustments, greedy=False)
    if isinstance(d, TopK):
        return Sequential(d.scores, d.places, adjustments, greedy=True)
    if isinstance(d, Sequential):
        return Sequential(d.base, d.places, d.adjustments + adjustments, d.greedy)
    if isinstance(d, Mixture):
        return Mixture(tuple(adjusted(part, adjustments) for part in d.parts), d.weights)
    if hasattr(d, "adjusted"):
        own: SlateDistribution = d.adjusted(adjustments)
        return own
    raise ValueError(
        f"rules cannot be put on a {type(d).__name__}: serve Plackett-Luce, TopK or a Mixture of "
        "them, or give the distribution a method adjusted(adjustments)"
    )


def next_logits(left: F64, states: list[SlateState], places: int) -> F64:
    """Logits (B, C) of the next of so many places.

    Where all places left are required, only what is required may stand, if any of it can.
    """
    now = left.copy()
    for state in states:
        now += state.logits()
    quotas = [quota for quota in (state.required() for state in states) if quota is not None]
    if sum(int(count.max(initial=0)) for _, count in quotas) < places:
        return now
    need = sum((np.maximum(count, 0) for _, count in quotas), np.zeros(len(now), np.int64))
    urgent: Bool = need >= places
    if urgent.any():
        member = np.zeros(now.shape, np.bool_)
        for columns, count in quotas:
            member |= columns & (count > 0)[:, None]
        only = np.where(member, now, -np.inf)
        urgent &= ~np.isneginf(only).all(axis=1)
        now = np.where(urgent[:, None], only, now)
    return now


def place_columns(left: F64, states: list[SlateState], column: I64) -> None:
    """In place: the columns are taken."""
    rows, some = np.arange(len(column)), column >= 0
    if some.all():
        left[rows, column] = -np.inf
    else:
        left[rows[some], column[some]] = -np.inf
    for state in states:
        state.place(column)
