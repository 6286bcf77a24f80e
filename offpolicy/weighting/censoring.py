"""Sessions that the log cuts off: what whole sessions must count for, and what none can show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset

NEGLIGIBLE = 0.01  # share of sessions that may go on where no whole one was seen


class Censoring(NamedTuple):
    """Cut sessions of a log."""

    cut: int  # sessions that were cut before they ended
    sessions: int
    length: int  # of the longest session
    running: float  # share of sessions that go on beyond what any whole session shows
    weight: F64  # (S,) 1 / chance of a whole session to be seen whole; 0 of a cut one

    @property
    def judgeable(self) -> bool:
        """Whole sessions stand for nearly all."""
        return self.running <= NEGLIGIBLE


def censoring(log: LoggedDataset) -> Censoring | None:
    """Inverse probability of censoring by session length, after Kaplan & Meier (1958) and Robins &
    Rotnitzky (1992); None where no session was cut.

    A session is cut if its last row is truncated before `log.max_steps`, or is not terminated where
    others are. Whether it is cut must not depend on what would have come. Memory: O(S).
    """
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))  # rows of a session stand in time order
    length = log.step[last].astype(np.int64) + 1
    longest = int(length.max())
    silent = log.terminated.any() & (length < longest)  # flags are in use, and say nothing of them
    cut = ~log.terminated[last] & (log.truncated[last] | silent)
    if log.max_steps is not None:
        cut &= length < log.max_steps
    if not cut.any():
        return None
    ended, lost = (np.bincount(length[x], minlength=longest + 1) for x in (~cut, cut))
    reached = _from(ended + lost)  # sessions of at least so many decisions
    kept = np.cumprod(1 - _share(lost, reached - ended))  # chance to be seen beyond so many
    running = float(np.prod(1 - _share(ended, reached)))
    seen = np.append(1.0, kept[:-1])[length]
    whole = ~cut & (seen > 0)
    weight = np.divide(1.0, seen, out=np.zeros(len(seen)), where=whole)
    return Censoring(int(cut.sum()), len(cut), longest, running, weight)


def first_steps(log: LoggedDataset, steps: int) -> LoggedDataset:
    """The first `steps` decisions of every session, as sessions that end there by design: their
    value is the return of a session's first decisions, which a log that stops early can tell.

    Raises:
        ValueError: steps below 1.
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}; a session has at least one decision")
    part = log.take(log.step < steps)
    return part.with_max_steps(steps)


def _from(count: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(count[::-1])[::-1]


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> F64:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
