"""Outcomes of segments: each segment's own change, all of them held together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.drift.outcomes import Change, How, change_of, session_means
from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.intervals.multiplicity import bonferroni
from offpolicy.log.dataset import LoggedDataset

FEW = 30  # users of each log below which nothing is said of a segment
MOST = 200  # segments
Segment = Callable[[LoggedDataset], ArrayLike]  # (N,) labels of decisions


class SegmentChange(NamedTuple):
    """One segment."""

    name: str
    change: Change


def labels_of(log: LoggedDataset, labels: ArrayLike, side: str) -> NDArray[np.str_]:
    """(S,) label of each session: that of its first decision.

    Raises:
        LogError: not one label a decision.
    """
    given = np.asarray(labels)
    if given.shape != (len(log),):
        raise LogError(
            f"segments of the {side} log have shape {given.shape}; give ({len(log)},), one label a "
            "decision"
        )
    return given[log.groups.first].astype("U")


def segment_changes(
    logs: tuple[LoggedDataset, LoggedDataset],
    values: tuple[F64, F64],
    labels: tuple[NDArray[np.str_], NDArray[np.str_]],
    how: How,
) -> list[SegmentChange]:
    """The change of the mean of values (S,) in each segment that both logs have, by intervals that
    all hold together with `how.level` (Bonferroni). Segments of fewer than 30 users in a log
    are left out.

    Raises:
        LogError: more than 200 segments.
    """
    both = np.intersect1d(*labels)
    if len(both) > MOST:
        raise LogError(
            f"{len(both)} segments: give a column of at most {MOST} values, such as a country or "
            "a platform"
        )
    means = {
        name: [
            session_means(log, x, own == name)
            for log, x, own in zip(logs, values, labels, strict=True)
        ]
        for name in both.tolist()
    }
    kept = {n: m for n, m in means.items() if min(len(x.user) for x in m) >= FEW}
    each = how._replace(level=bonferroni(how.level, max(len(kept), 1)))
    return [SegmentChange(name, change_of(each, *pair)) for name, pair in kept.items()]
