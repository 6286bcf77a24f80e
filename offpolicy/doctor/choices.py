"""How much choice a row left: the items on offer, and the slates that can be made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.candidate_table import place_propensity, table_entry
from offpolicy.estimators.terms import F64
from offpolicy.log.checks import repeats
from offpolicy.log.dataset import LoggedDataset

SURE = 1 - 1e-9  # a probability that leaves no choice


class Place(NamedTuple):
    """One place of the slates, on the rows whose places above are filled and that left a choice."""

    row: NDArray[np.int64]  # (M,)
    item: NDArray[np.int32]  # (M,) -1 where the logger left the place empty
    p: F64  # (M,) given the places above
    options: F64  # (M,) items that could stand here
    above: NDArray[np.int32]  # (M, k) items of the places above, which cannot


def inverse(p: F64) -> F64:
    """1 / p, of vanishing p a number whose square is finite."""
    return np.asarray(1 / np.maximum(p, 1e-100))


def listed(log: LoggedDataset) -> F64:
    """(N,) items on offer: the candidates, or the whole catalogue."""
    if log.candidates is None:
        return np.full(len(log), float(log.n_items))
    return np.asarray((log.candidates >= 0).sum(1), np.float64)


def offered(log: LoggedDataset) -> F64:
    """(N,) items that the logger may serve: on offer, and not excluded by the logged table. A table
    that excludes all items but one everywhere, or from the first place only, excludes nothing."""
    table = log.candidate_propensity
    if table is None:
        return listed(log)
    open_ = table > 0
    if log.candidates is not None:
        open_ &= log.candidates >= 0
    count = np.asarray(open_.sum(1), np.float64)
    if bool((count <= 1).all()):
        return listed(log)
    if log.slate_size > 1 and bool((count < listed(log)).any()):
        for shown in log.slate[:, 1:].T:
            if bool(((shown >= 0) & (table_entry(log, shown) <= 0)).any()):
                return listed(log)
    return count


def had_choice(log: LoggedDataset) -> NDArray[np.bool_]:
    """(N,) the logger could have served something else, as far as the log tells."""
    if log.candidates is not None or log.candidate_propensity is None:
        return listed(log) > 1
    return offered(log) > 1


def with_replacement(log: LoggedDataset) -> bool:
    """An item may stand in several places of a slate, and in some slate one does: where the log
    only allows it, the logger may have chosen without."""
    return log.slate_size > 1 and log.repeats and bool(repeats(log.slate).any())


def ordered_slates(options: F64, size: NDArray[np.int64], replaced: bool) -> F64:
    """(N,) ordered slates of `size` items out of `options`: options (options - 1) ..., or
    options ** size with replacement; 0 where there are too few."""
    count = np.ones(len(options))
    for k in range(int(size.max(initial=0))):
        left = options if replaced else np.maximum(options - k, 0.0)
        count *= np.where(k < size, left, 1.0)
    return count


def place(log: LoggedDataset, k: int, options: F64, replaced: bool) -> Place:
    """Place k of a log whose places are logged; `options` (N,) at the first place."""
    p, filled = place_propensity(log, k), (log.slate[:, :k] >= 0).all(1)
    left = options if replaced else options - k
    forced = (log.slate[:, k] < 0) & (p >= SURE)  # nothing could stand here
    row = np.flatnonzero(filled & (left > 0) & ~forced)
    above = log.slate[row, : 0 if replaced else k]
    return Place(row, log.slate[row, k], p[row], left[row], above)
