"""Groups of rows that checks look at apart, by what was known before the decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset

COLUMNS = 4  # of the context that are split, those first
KINDS = 10  # values of a column that name groups, at most
SAMPLE = 1000  # rows that tell whether they do


class Split(NamedTuple):
    """Rows in a few groups."""

    label: str  # "" = all rows are one
    code: NDArray[np.int64]  # (N,) 0..kinds-1
    names: tuple[str, ...]

    @property
    def kinds(self) -> int:
        """Number of groups."""
        return len(self.names)

    def name(self, group: int) -> str:
        """As a reader knows it."""
        return f"{self.label}{self.names[group]}"


def splits(log: LoggedDataset) -> Iterator[Split]:
    """All rows together; and, where no table of candidates tells of each row, by logger and by
    halves of the context's columns."""
    yield Split("", np.zeros(len(log), np.int64), ("",))
    if log.candidate_propensity is not None and log.slate_size == 1:
        return
    yield from by_logger(log)
    if log.context is None:
        return
    for d in range(min(log.context.shape[1], COLUMNS)):
        x = log.context[:, d]
        middle = np.median(x)
        high = x > middle
        if high.any() and not high.all():
            names = (f" <= {middle:.4g}", f" > {middle:.4g}")
            yield Split(f"context[{d}]", high.astype(np.int64), names)


def by_logger(log: LoggedDataset) -> Iterator[Split]:
    """The policies that served the log, where they are several and few."""
    if log.logger is None:
        return
    names, code = np.unique(log.logger, return_inverse=True)
    if 1 < len(names) <= KINDS:
        yield Split("logger", code, tuple(f" = {n}" for n in names))


def by_value(log: LoggedDataset) -> Iterator[Split]:
    """The loggers, and each column of the context that takes few values."""
    yield from by_logger(log)
    if log.context is None:
        return
    step = max(len(log) // SAMPLE, 1)
    for d in range(log.context.shape[1]):
        if not 1 < len(np.unique(log.context[::step, d])) <= KINDS:
            continue
        values, code = np.unique(log.context[:, d], return_inverse=True)
        if len(values) <= KINDS:
            yield Split(f"context[{d}]", code, tuple(f" = {v:.6g}" for v in values))
