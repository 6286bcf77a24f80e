"""What users do on each of their trials, and who does it too regularly to be a person."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import Groups

I64 = NDArray[np.int64]
LIKE = 0.05  # gaps that differ by less are equal
FASTEST = 1.0  # s between decisions below which no person chooses


class Trials(NamedTuple):
    """A pattern: how often each user did the same, of how often the user could."""

    name: str
    rule: str
    hits: F64  # (U,)
    trials: F64  # (U,)


def patterns(log: LoggedDataset, users: Groups, time: F64 | None) -> list[Trials]:
    """The patterns that the log's columns allow."""
    made = []
    if log.consumed is not None:
        taken = log.consumed >= 0
        made.append(
            Trials(
                "no refusal", "People leave most slates, or some, untouched.",
                _count(users.code, users.n, taken), _count(users.code, users.n),
            )
        )  # fmt: skip
        made += _of_taken(log, users, taken)
    if time is not None:
        made += _of_gaps(users, time)
    return made


def _of_taken(log: LoggedDataset, users: Groups, taken: NDArray[np.bool_]) -> list[Trials]:
    assert log.consumed is not None
    at = np.flatnonzero(taken)
    user, trials = users.code[at], _count(users.code[at], users.n)
    made = []
    if log.slate_size > 1:
        shown = log.slate[at] == log.consumed[at, None]
        place = np.where(shown.any(1), shown.argmax(1), log.slate_size)
        made.append(
            Trials(
                "one place", "People take items of several places of their slates.",
                _most_frequent(user, place, users.n), trials,
            )
        )  # fmt: skip
    if log.responses is not None and log.responses.shape[1]:
        _, code = np.unique(log.responses[at], axis=0, return_inverse=True)
        made.append(
            Trials(
                "one response", "People's responses vary.",
                _most_frequent(user, code.ravel(), users.n), trials,
            )
        )  # fmt: skip
    return made


def _of_gaps(users: Groups, time: F64) -> list[Trials]:
    """Between the decisions of a user, sessions one after another."""
    order = np.lexsort((time, users.code))
    code, at = users.code[order], time[order]
    same = code[1:] == code[:-1]
    user, gap = code[1:][same], np.diff(at)[same]
    trials = _count(user, users.n)
    by_size = np.lexsort((gap, user))
    start = np.cumsum(trials).astype(np.int64) - trials.astype(np.int64)
    middle = np.zeros(users.n)
    some = trials > 0
    middle[some] = gap[by_size][(start + trials.astype(np.int64) // 2)[some]]
    equal = np.abs(gap - middle[user]) <= LIKE * middle[user]
    return [
        Trials("equal gaps", "People's decisions are unequally apart.",
               _count(user, users.n, equal), trials),
        Trials("fast", f"People take {FASTEST:g} s or more for a decision.",
               _count(user, users.n, gap < FASTEST), trials),
    ]  # fmt: skip


def _count(code: I64, n: int, of: NDArray[np.bool_] | None = None) -> F64:
    return np.bincount(code, of, n).astype(np.float64)


def _most_frequent(user: I64, kind: NDArray[np.integer], n: int) -> F64:
    """(U,) how often each user's most frequent kind is."""
    width = int(kind.max(initial=0)) + 1
    pairs, count = np.unique(user * width + kind, return_counts=True)
    most = np.zeros(n)
    np.maximum.at(most, pairs // width, count)
    return most
