"""The returns of sessions: their distribution, and their means in parts of the users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.drift.segments import MOST, labels_of
from offpolicy.errors import LogError
from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.distribution import OutcomeDistribution
from offpolicy.intervals.inference import Interval, interval
from offpolicy.intervals.multiplicity import bonferroni
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group
from offpolicy.sessions.steps import WHY


class Segment(NamedTuple):
    """One part of the users."""

    name: str
    sessions: int
    value: Interval  # mean return of a session; the intervals of all segments hold together


def return_distribution(log: LoggedDataset) -> OutcomeDistribution:
    """The distribution of session returns as they were served: `.quantile_interval(p)`,
    `interval(.cvar(alpha))` (mean of the worst share), `interval(.cdf(at))`, clustered by user.

    Raises:
        LogError: a session has missing steps.
    """
    log.require_whole_sessions(WHY)
    returns, unit, kept = log.session_rewards(), log.unit[log.groups.first], _kept(log)
    order = np.argsort(returns, kind="stable")
    mass = kept[order] / kept.sum()
    return OutcomeDistribution(returns[order], np.ones(len(order)), group(unit[order]), mass)


def by_segment(
    log: LoggedDataset, labels: ArrayLike, *, values: ArrayLike | None = None, level: float = 0.95
) -> list[Segment]:
    """Mean return of a session in each segment, in the order of their names.

    labels: (N,) of decisions; that of its first decision is the session's. values: (S,) means of
    these instead of returns, such as paired differences to another policy. Sessions count by their
    `row_weight`. Intervals are clustered by user and hold all together with `level` (Bonferroni);
    segments with fewer than 2 users are left out.

    Raises:
        LogError: labels or values of another shape, or more than 200 segments.
        ValueError: a level outside (0, 1).
    """
    own = labels_of(log, labels, "given")
    x = log.session_rewards() if values is None else np.asarray(values, np.float64)
    if x.shape != (log.n_sessions,):
        raise LogError(f"values have shape {x.shape}; give ({log.n_sessions},), one a session")
    names = np.unique(own)
    if len(names) > MOST:
        raise LogError(f"{len(names)} segments: give labels of at most {MOST} values")
    unit, kept = log.unit[log.groups.first], _kept(log)
    each = {str(n): own == n for n in names}
    each = {n: mask for n, mask in each.items() if len(np.unique(unit[mask])) > 1}
    together = bonferroni(level, max(len(each), 1))
    return [
        Segment(
            n, int(mask.sum()), interval(clustered_mean(x[mask], unit[mask], kept[mask]), together)
        )
        for n, mask in each.items()
    ]


def clustered_mean(x: F64, unit: NDArray[np.generic], weight: F64) -> Estimate:
    """Mean of values (S,) that count by their weights (S,), whose units (S,) are independent, with
    the influence of each unit."""
    units, total = group(unit), weight.sum()
    value = float(weight @ x / total)
    psi = np.bincount(units.code, weight * (x - value), units.n) * units.n / total
    return Estimate(value, psi, unit[units.first])


def _kept(log: LoggedDataset) -> F64:
    """(S,) 1 / chance that a session was kept."""
    if log.row_weight is None:
        return np.ones(log.n_sessions)
    return log.row_weight[log.groups.first]


def thirds(log: LoggedDataset, values: ArrayLike) -> NDArray[np.str_]:
    """(N,) labels for `by_segment`: "low", "middle" or "high" third of the sessions by a column
    (N,) at their first decision. Values that stand on an edge are in the lower third.

    Raises:
        LogError: values of another shape.
    """
    x = np.asarray(values, np.float64)
    if x.shape != (len(log),):
        raise LogError(f"values have shape {x.shape}; give ({len(log)},), one a decision")
    first = x[log.groups.first]
    place = np.searchsorted(np.quantile(first, [1 / 3, 2 / 3]), first, side="left")
    return np.array(["low", "middle", "high"])[place][log.sessions]
