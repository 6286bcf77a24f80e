"""Have outcomes changed: the difference of two logs' means, with whole users as units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.bounds import confidence_sequence
from offpolicy.intervals.gamma import gamma_interval, seen
from offpolicy.intervals.inference import Interval
from offpolicy.log.dataset import LoggedDataset

I64 = NDArray[np.int64]


class How(NamedTuple):
    """How two logs are compared."""

    level: float
    shared: bool  # ids of users mean the same in both logs
    monitored: bool = False  # compared again as the recent log grows


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Totals of independent users: the mean is sum(total) / sum(size)."""

    user: I64  # (U,) ids
    total: F64  # (U,)
    size: F64  # (U,) sessions, or decisions

    @property
    def mean(self) -> float:
        """Of all users."""
        return float(self.total.sum() / self.size.sum())


class Change(NamedTuple):
    """Recent minus reference."""

    reference: float
    recent: float
    difference: Interval
    units: tuple[int, int]  # of the reference, of the recent log


def session_means(log: LoggedDataset, values: F64, keep: NDArray[np.bool_] | None = None) -> Means:
    """Of values (S,), one a session; `keep` (S,) are the sessions that count."""
    return _means(log.unit[log.groups.first], values, np.ones(len(values)), keep)


def decision_means(log: LoggedDataset, values: F64, keep: NDArray[np.bool_] | None = None) -> Means:
    """Of values (N,), one a decision; `keep` (N,) are the decisions that count."""
    return _means(log.unit, values, np.ones(len(values)), keep)


def _means(user: I64, total: F64, size: F64, keep: NDArray[np.bool_] | None) -> Means:
    if keep is not None:
        user, total, size = user[keep], total[keep], size[keep]
    ids, code = np.unique(user, return_inverse=True)
    sums = [np.bincount(code.ravel(), x, len(ids)).astype(np.float64) for x in (total, size)]
    return Means(ids, sums[0], sums[1])


def change_of(how: How, reference: Means, recent: Means) -> Change:
    """The difference of means with its interval: a gamma interval, which allows for rare and heavy
    values; where the comparison is `monitored`, made again as the recent log grows, a confidence
    sequence. Influences of a user of both logs are added where ids mean the same in both
    (`shared`), so that the interval is paired.

    Raises:
        LogError: a log with fewer than 2 users.
    """
    units = len(reference.user), len(recent.user)
    if min(units) < 2:
        raise LogError(f"users of the two logs: {units}; a difference needs 2 of each")
    parts = [
        (m.total - m.mean * m.size) / m.size.sum() * sign
        for m, sign in ((reference, -1), (recent, 1))
    ]  # what each user adds to the error of the difference
    if how.shared:
        ids, code = np.unique(np.r_[reference.user, recent.user], return_inverse=True)
        added = np.bincount(code.ravel(), np.concatenate(parts), len(ids))
    else:
        ids = np.arange(sum(units))
        added = np.concatenate(parts)
    psi = added * len(ids)
    difference = Estimate(recent.mean - reference.mean, np.asarray(psi, np.float64), ids)
    large = seen(difference.psi)
    if how.monitored:
        known = confidence_sequence(difference, how.level, unseen=large)
    else:
        known = gamma_interval(difference, how.level, unseen=large)
    return Change(reference.mean, recent.mean, known, units)
