"""The table of candidates and their first-place probabilities, as the checks read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset

ENTRY = 1e-4  # how far a row may sum from 1; relative: a propensity from its logged entry


class Candidate(NamedTuple):
    """One column of the candidate table."""

    item: NDArray[np.int64]  # (N,)
    p: F64  # (N,)


def candidate_columns(log: LoggedDataset) -> Iterator[Candidate]:
    """What was offered, a column at a time; of the whole catalogue where no candidates are."""
    width = log.n_items if log.candidates is None else log.candidates.shape[1]
    for c in range(width):
        item = np.full(len(log), c) if log.candidates is None else log.candidates[:, c]
        p = (item >= 0).astype(float)
        if log.candidate_propensity is not None:
            p = log.candidate_propensity[:, c]
        yield Candidate(np.asarray(item, np.int64), p)


def places_logged(log: LoggedDataset) -> bool:
    """The probability of the first place is known: slates have one place, or all are logged."""
    return log.slate_size == 1 or log.position_propensity is not None


def place_propensity(log: LoggedDataset, k: int) -> F64:
    """(N,) of place k given those above; `places_logged`."""
    if log.position_propensity is None:
        return log.propensity
    return log.position_propensity[:, k]


def table_entry(log: LoggedDataset, item: NDArray[np.int32]) -> F64:
    """(N,) the table's first-place probability of an item a row; 0 of what was not offered."""
    table = log.candidate_propensity
    assert table is not None
    if log.candidates is None:
        return np.where(item >= 0, table[np.arange(len(log)), item], 0.0)
    return np.asarray((table * (log.candidates == item[:, None])).sum(1))


def logged_entry(log: LoggedDataset) -> F64:
    """(N,) the table's probability of what stands at the first place. That of an empty place is
    logged at candidate -1, or is what the items leave of 1."""
    table, first = log.candidate_propensity, log.slate[:, 0]
    assert table is not None
    entry = table_entry(log, first)
    empty = np.flatnonzero(first < 0)
    entry[empty] += np.maximum(1 - table[empty].sum(1), 0.0)
    return entry


def propensity_mismatch(log: LoggedDataset) -> NDArray[np.bool_]:
    """(N,) the propensity differs from its entry in the candidate table; where the places were not
    logged, the whole slate is likelier than its first place."""
    entry = logged_entry(log)
    if places_logged(log):
        return np.asarray(np.abs(entry - place_propensity(log, 0)) > ENTRY * entry)
    return np.asarray(log.propensity > (1 + ENTRY) * entry)
