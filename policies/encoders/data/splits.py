"""Train, validation and test parts of sequences; each split names its own rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.encoders.data.sequences import Sequences


@dataclass(frozen=True, slots=True)
class Heldout:
    """Queries: predict `target[i]` from `history[i]`."""

    history: Sequences  # Q queries' histories
    target: NDArray[np.int32]  # (Q,) the item that came next

    def __post_init__(self) -> None:
        if len(self.history) != len(self.target):
            raise ValueError(f"{len(self.history)} histories for {len(self.target)} targets")

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True)
class Split:
    """Events to learn from, queries to stop on, queries to report; `rule` goes into results."""

    train: Sequences
    valid: Heldout
    test: Heldout
    rule: str


def development(split: Split) -> Split:
    """For choosing settings: every user's last training event is asked, the rest trains.

    No event of `split`'s validation or test is touched. Validation and test are the same queries,
    so a score stopped on them is a little too good. Users of one training event train only.
    """
    own = split.train
    low, high, rows = own.offsets[:-1], own.offsets[1:], np.arange(len(own))
    long = np.flatnonzero(own.lengths >= 2)
    train = own.cut(low, np.where(own.lengths >= 2, high - 1, high), rows)
    asked = Heldout(own.cut(low[long], high[long] - 1, long), own.items[high[long] - 1])
    return Split(train, asked, asked, f"development, the last training event of: {split.rule}")


def leave_one_out(sequences: Sequences) -> Split:
    """Each user's last event is tested, the one before validates, the rest trains.

    Users of fewer than three events train only.
    """
    low, high = sequences.offsets[:-1], sequences.offsets[1:]
    rows = np.arange(len(sequences))
    long = np.flatnonzero(sequences.lengths >= 3)
    train = sequences.cut(low, np.where(sequences.lengths >= 3, high - 2, high), rows)

    def held(back: int) -> Heldout:
        stop = high[long] - back
        return Heldout(sequences.cut(low[long], stop, long), sequences.items[stop])

    return Split(train, held(2), held(1), "leave-one-out by user")


def global_time(sequences: Sequences, *, valid: float = 0.8, test: float = 0.9) -> Split:
    """Everything before one instant trains; each user's first event after it is predicted.

    `valid` and `test` are quantiles of the event times. A query's history ends strictly before its
    instant, so no event after it is seen by anybody.

    Raises:
        ValueError: the sequences carry no times, or 0 < valid < test < 1 does not hold.
    """
    if sequences.times is None:
        raise ValueError("a split by global time needs times; these sequences have none")
    if not 0 < valid < test < 1:
        raise ValueError(f"need 0 < valid < test < 1, got valid={valid}, test={test}")
    first, second = np.quantile(sequences.times, [valid, test], method="lower")
    users = np.arange(len(sequences))
    start = sequences.offsets[:-1]

    def until(instant: float) -> NDArray[np.int64]:
        assert sequences.times is not None
        before = np.concatenate([[0], np.cumsum(sequences.times < instant)])
        stop: NDArray[np.int64] = start + before[sequences.offsets[1:]] - before[start]
        return stop

    def held(instant: float, end: NDArray[np.int64]) -> Heldout:
        stop = until(instant)
        rows = np.flatnonzero(stop < end)
        return Heldout(sequences.cut(start[rows], stop[rows], rows), sequences.items[stop[rows]])

    train = sequences.cut(start, until(first), users)
    rule = f"global time: train before {first:.0f}, validate before {second:.0f}, test after"
    return Split(train, held(first, until(second)), held(second, sequences.offsets[1:]), rule)
