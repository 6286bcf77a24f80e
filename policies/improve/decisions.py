"""A log as planners read it: what was taken, and what the rest of the session paid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.consumption import consumed_items

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
LEAST = 0.05  # share of a row that counts, however surely its items were shown
EVERY = ""  # the name of who served, where the log does not say


class Decisions(NamedTuple):
    """N rows, session by session."""

    taken: I64  # (N,) item, A = nothing
    now: F64  # (N,) reward
    rest: F64  # (N,) reward after it to the session's end; in a cut one, without the last row
    last: I64  # (N,) the session's last row
    cut: Bool  # (N,) the session was cut before its end: it goes on from its last row
    logger: NDArray[np.str_]  # (N,)
    choice: F64  # (N,) how much was left to chance: LEAST (one item surely) .. 1

    @property
    def known(self) -> Bool:
        """(N,) False for last rows of cut sessions: nothing is known of what came after."""
        return ~self.cut | (self.last > np.arange(len(self.last)))


def decisions(log: LoggedDataset) -> Decisions:
    """Rows must stand session by session (`policies.learning`).

    A session is cut if its last row is truncated before `log.max_steps`, or is not terminated where
    others are. Raises ValueError where what was taken was not logged.
    """
    log.require_whole_sessions("what followed a decision would not be the rest of its session.")
    item = consumed_items(log)
    ends = np.flatnonzero(np.append(log.session[1:] != log.session[:-1], True))
    which = np.searchsorted(ends, np.arange(len(log)))
    cut = ~log.terminated[ends] & (log.truncated[ends] | log.terminated.any())
    if log.max_steps is not None:
        cut &= log.step[ends] + 1 < log.max_steps
    total = np.cumsum(log.reward)
    until = np.where(cut, total[ends] - log.reward[ends], total[ends])[which]
    served = np.full(len(log), EVERY) if log.logger is None else log.logger.astype(str)
    return Decisions(
        taken=np.where(item < 0, log.n_items, item).astype(np.int64),
        now=log.reward,
        rest=np.where(cut[which] & (ends[which] == np.arange(len(log))), 0.0, until - total),
        last=ends[which],
        cut=cut[which],
        logger=served,
        choice=left_to_chance(log),
    )


def left_to_chance(log: LoggedDataset) -> F64:
    """(N,) 1 less the sum of squared first-place probabilities, at least LEAST; 1 where the log
    does not hold them.

    Rows of a policy that hardly draws say little of what another item would have done there, and
    most of what its own state has in common with its items: overlap weights (Li, Morgan &
    Zaslavsky, 2018).
    """
    if log.candidate_propensity is None:
        return np.ones(len(log))
    return np.asarray(np.maximum(1.0 - np.square(log.candidate_propensity).sum(axis=1), LEAST))
