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


def first_propensity(log: LoggedDataset) -> F64:
    """(N,) of the first place; of the slate where places were not logged."""
    return log.propensity if log.position_propensity is None else log.position_propensity[:, 0]


def logged_entry(log: LoggedDataset) -> F64:
    """(N,) the candidate table's probability of the item shown first."""
    assert log.candidate_propensity is not None
    if log.candidates is None:
        entry = log.candidate_propensity[np.arange(len(log)), log.slate[:, 0]]
        return np.where(log.slate[:, 0] >= 0, entry, 0.0)
    hit = log.candidates == log.slate[:, :1]
    return np.asarray((log.candidate_propensity * hit).sum(1))


def propensity_mismatch(log: LoggedDataset) -> NDArray[np.bool_]:
    """(N,) the propensity differs from its entry in the candidate table."""
    entry = logged_entry(log)
    return np.asarray(np.abs(entry - first_propensity(log)) > ENTRY * entry)
