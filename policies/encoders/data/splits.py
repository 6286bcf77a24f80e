"""Train, validation and test parts of sequences; each split states its rule."""

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
    """For choosing settings: every user's last training event is predicted, the rest trains.

    No event of `split`'s validation or test is touched. Validation and test are the same queries,
    so a score after early stopping on them is slightly too high. Users of one training event
    are in the training part only.
    """
    train = split.train
    low, high, rows = train.offsets[:-1], train.offsets[1:], np.arange(len(train))
    long = np.flatnonzero(train.lengths >= 2)
    rest = train.cut(low, np.where(train.lengths >= 2, high - 1, high), rows)
    queries = Heldout(train.cut(low[long], high[long] - 1, long), train.items[high[long] - 1])
    return Split(rest, queries, queries, f"development, the last training event of: {split.rule}")


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
