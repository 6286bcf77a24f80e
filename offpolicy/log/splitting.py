"""Parts of a log that hold no session, and no user, in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]


def split_sessions(
    log: LoggedDataset, shares: Sequence[float], *, seed: int = 0
) -> tuple[LoggedDataset, ...]:
    """Whole sessions in parts of about these shares, by user where the log names users.

    A unit's part hangs on its id and the seed alone, so that it stays there as the log grows: what
    a learner has seen is never handed to the judge later.

    Raises:
        LogError: shares that are not above 0 and sum to 1, or a part without a session.
    """
    given, part = np.asarray(shares, np.float64), parts_of(log, shares, seed=seed)
    empty = np.flatnonzero(np.bincount(part, minlength=len(given)) == 0)
    if len(empty):
        units = len(np.unique(log.unit))
        raise LogError(
            f"part {empty[0]} of {len(given)}, a share of {given[empty[0]]:.3g}, got none of the "
            f"log's {units} independent units: log more sessions, or split into fewer parts"
        )
    return tuple(log.take(part == nth) for nth in range(len(given)))


def parts_of(log: LoggedDataset, shares: Sequence[float], *, seed: int = 0) -> I64:
    """(N,) the part of each row, as `split_sessions` splits; parts may be empty.

    Raises LogError for shares that are not above 0 and sum to 1.
    """
    given = np.asarray(shares, np.float64)
    if given.ndim != 1 or not (given > 0).all() or abs(given.sum() - 1) > 1e-9:
        raise LogError(f"shares are {list(shares)}; give numbers above 0 that sum to 1")
    key = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    place = (mixed(log.unit.astype(np.uint64) + key) >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(np.cumsum(given)[:-1], place, side="right")


def shared_sessions(log: LoggedDataset, other: LoggedDataset) -> I64:
    """Ids of sessions that stand in both logs: the same id, with the same decisions.

    Logs whose ids coincide because each numbers its own sessions share none: of the ids in common
    most must hold the same, else the few that do are taken for chance.
    """
    mine, its = (one.session[one.groups.first] for one in (log, other))
    ids, at, there = np.intersect1d(mine, its, assume_unique=True, return_indices=True)
    same = np.isclose(_content(log)[at], _content(other)[there], rtol=1e-9, atol=0).all(axis=1)
    return np.asarray(ids[same] if same.mean() > 0.5 else ids[:0]) if len(ids) else ids


def _content(log: LoggedDataset) -> F64:
    """(S, 4) of each session: its decisions, what they paid, their propensities, what was shown."""
    shown = mixed(log.slate.astype(np.uint64) + np.arange(log.slate_size, dtype=np.uint64) * 97)
    columns = (
        np.ones(len(log)),
        log.reward * (1.0 + log.step),
        np.log(log.propensity),
        (shown >> np.uint64(40)).sum(axis=1).astype(np.float64),
    )
    return np.column_stack([np.bincount(log.sessions, x, log.n_sessions) for x in columns])


def mixed(x: U64) -> U64:
    """Bits of consecutive numbers are unrelated: the finaliser of Steele, Lea & Flood (2014)."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
