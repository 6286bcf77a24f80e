"""Train, validation and test parts of sequences; each split states its rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from policies.encoders.data.checks import ITEMS, check_items, check_length
from policies.encoders.data.columns import whole_numbers
from policies.encoders.data.sequences import Sequences

SeenRule = Literal["auto", "filter", "keep", "new"]
FEW = 0.01  # share of repeated targets that needs no words


@dataclass(frozen=True, slots=True)
class Heldout:
    """Queries: predict `target[i]` from `history[i]`, the seen items in the ranking or out of it.

    `filter_seen`: the items of a query's own history leave its ranking, and a target among them is
    missed. By default they leave it unless any query repeats an item, in its history or as target.
    """

    history: Sequences  # Q queries' histories
    target: NDArray[np.int32]  # (Q,) the item that came next
    filter_seen: bool | None = None  # one rule of all queries; None becomes the default

    def __post_init__(self) -> None:
        target = whole_numbers("target", self.target, ITEMS)
        check_length("target", target, len(self.history), "histories")
        check_items(target, np.arange(len(target) + 1), self.history.n_items)
        object.__setattr__(self, "target", target.astype(np.int32, copy=False))
        if self.filter_seen is None:
            object.__setattr__(self, "filter_seen", not repeated(self.history, self.target))

    def __len__(self) -> int:
        return len(self.target)


def sampled(held: Heldout, most: int = 8_192) -> Heldout:
    """At most so many of the queries, drawn at random, the same ones each time."""
    if len(held) <= most:
        return held
    rows = np.sort(np.random.default_rng(0).choice(len(held), most, replace=False))
    return Heldout(held.history.take(rows), held.target[rows], held.filter_seen)


def repeated(history: Sequences, target: NDArray[np.int32]) -> bool:
    """Whether any history holds an item twice, or its own target."""
    return bool(history.repeats or (history.items == target[history.owner]).any())


@dataclass(frozen=True, slots=True)
class Split:
    """Events to learn from, queries to stop on, queries to report; `rule` goes into results."""

    train: Sequences
    valid: Heldout
    test: Heldout
    rule: str
    needs: str = ""  # what a user must have to be learnt from and tested, as a sentence

    def check(self) -> None:
        """Raise ValueError where nobody can be learnt from or tested, with the reason."""
        users, longest = len(self.train), int(self.train.lengths.max(initial=0))
        if longest < 2:
            raise ValueError(
                f"nothing to learn: none of {users:,} users has two training events under the "
                f"split {self.rule} ({self.train.n_events:,} training events). {self.needs}"
            )
        if not len(self.test):
            raise ValueError(
                f"nothing to test: 0 of {users:,} users can be tested under the split {self.rule} "
                f"(the longest training history has {longest:,} events). {self.needs}"
            )


def seen_targets(held: Heldout) -> NDArray[np.bool_]:
    """(Q,) whose target is in their own history."""
    history = held.history
    out = np.zeros(len(held), np.bool_)
    out[history.owner[history.items == held.target[history.owner]]] = True
    return out


def ruled(split: Split, rule: SeenRule) -> Split:
    """The split with a named rule for items that a user had before, the same in validation, which
    stops learning, and in the test.

    filter: they leave the ranking, and a target among them is missed. keep: they stay in it.
    new: as filter, and only queries whose target is new are asked. auto: keep where anybody repeats
    an item, else filter.

    The rule "everything seen leaves the ranking but the target" is none of them: where targets
    repeat, it tells the ranking that the one seen item left is the target.
    """
    if rule == "auto":
        return split
    return replace(split, valid=_ruled(split.valid, rule), test=_ruled(split.test, rule))


def _ruled(held: Heldout, rule: SeenRule) -> Heldout:
    if rule == "new":
        new = np.flatnonzero(~seen_targets(held))
        return Heldout(held.history.take(new), held.target[new], True)
    return replace(held, filter_seen=rule == "filter")


def repeat_notes(held: Heldout) -> list[str]:
    """What a reader must know where more than 1 % of the targets repeat an item of their user."""
    share = float(seen_targets(held).mean()) if len(held) else 0.0
    if share <= FEW:
        return []
    done = "are missed, whatever the encoder" if held.filter_seen else "can be ranked"
    return [
        f"{share:.1%} of the test's targets repeat an item of their own history; they {done}. "
        "Figures under --seen keep, filter and new differ, and only figures of one rule can be "
        "compared."
    ]


def sessions(
    sequences: Sequences, *, valid: float = 0.1, test: float = 0.1, seed: int = 0
) -> Split:
    """Whole sequences are held out, and every prefix of them is asked for what came next.

    The last to begin, where there are times, else drawn at random with `seed`: a share `test` of
    the sequences of two events or more is tested, the share `valid` before it validates.

    Raises:
        ValueError: not 0 < valid, 0 < test, valid + test < 1.
    """
    if min(valid, test) <= 0 or valid + test >= 1:
        raise ValueError(f"need 0 < valid, 0 < test, valid + test < 1, got {valid} and {test}")
    long = np.flatnonzero(sequences.lengths >= 2)
    if sequences.times is None:
        order = np.random.default_rng(seed).permutation(long)
    else:
        order = long[np.argsort(sequences.times[sequences.offsets[long]], kind="stable")]
    first, second = (round(len(order) * share) for share in (1 - valid - test, 1 - test))
    filter_seen, held_out = not sequences.repeats, np.zeros(len(sequences), np.bool_)
    held_out[order[first:]] = True

    def prefixes(users: NDArray[np.int64]) -> Heldout:
        rows = np.repeat(users, sequences.lengths[users] - 1)
        begun = np.concatenate([[0], np.cumsum(sequences.lengths[users] - 1)])
        size = np.arange(len(rows)) - np.repeat(begun[:-1], sequences.lengths[users] - 1) + 1
        start = sequences.offsets[rows]
        history = replace(sequences.cut(start, start + size, rows), users=rows)
        return Heldout(history, sequences.items[start + size], filter_seen)

    how = "at random" if sequences.times is None else "the last to begin"
    rule = f"whole sessions held out ({how}), every prefix asked"
    needs = "Sessions of two events or more are needed in each part."
    validated, tested = np.sort(order[first:second]), np.sort(order[second:])
    train = sequences.take(~held_out)
    return Split(train, prefixes(validated), prefixes(tested), rule, needs)


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
    histories = train.cut(low[long], high[long] - 1, long)
    queries = Heldout(histories, train.items[high[long] - 1], split.test.filter_seen)
    rule = f"development, the last training event of: {split.rule}"
    return Split(rest, queries, queries, rule, f"{split.needs} Development takes one event more.")


def leave_one_out(sequences: Sequences) -> Split:
    """Each user's last event is tested, the one before validates, the rest trains.

    Users of fewer than three events train only.
    """
    low, high = sequences.offsets[:-1], sequences.offsets[1:]
    rows = np.arange(len(sequences))
    long = np.flatnonzero(sequences.lengths >= 3)
    train = sequences.cut(low, np.where(sequences.lengths >= 3, high - 2, high), rows)
    filter_seen = not sequences.repeats

    def held(back: int) -> Heldout:
        stop = high[long] - back
        return Heldout(sequences.cut(low[long], stop, long), sequences.items[stop], filter_seen)

    needs = "Leave-one-out tests users of 3 events and learns from them beginning with 4."
    return Split(train, held(2), held(1), "leave-one-out by user", needs)


def global_time(sequences: Sequences, *, valid: float = 0.8, test: float = 0.9) -> Split:
    """Everything before one instant trains; each user's first event after it is predicted.

    `valid` and `test` are quantiles of the event times. A query's history ends strictly before its
    instant, so no event after it is seen by anybody.

    Raises:
        ValueError: no times, no events, or not 0 < valid < test < 1.
    """
    if sequences.times is None:
        raise ValueError("a split by global time needs times; these sequences have none")
    if not 0 < valid < test < 1:
        raise ValueError(f"need 0 < valid < test < 1, got valid={valid}, test={test}")
    if not sequences.n_events:
        raise ValueError("a split by global time needs events; these sequences have none")
    first, second = np.quantile(sequences.times, [valid, test], method="lower")
    users, filter_seen = np.arange(len(sequences)), not sequences.repeats
    start = sequences.offsets[:-1]

    def until(instant: float) -> NDArray[np.int64]:
        assert sequences.times is not None
        before = np.concatenate([[0], np.cumsum(sequences.times < instant)])
        stop: NDArray[np.int64] = start + before[sequences.offsets[1:]] - before[start]
        return stop

    def held(instant: float, end: NDArray[np.int64]) -> Heldout:
        stop = until(instant)
        rows = np.flatnonzero(stop < end)
        histories = sequences.cut(start[rows], stop[rows], rows)
        return Heldout(histories, sequences.items[stop[rows]], filter_seen)

    train = sequences.cut(start, until(first), users)
    rule = f"global time: train before {first:.0f}, validate before {second:.0f}, test after"
    needs = (
        "Somebody must have two events before the first instant; there are "
        f"{len(np.unique(sequences.times)):,} different times to tell {sequences.n_events:,} "
        "events apart."
    )
    test_part = held(second, sequences.offsets[1:])
    return Split(train, held(first, until(second)), test_part, rule, needs)
