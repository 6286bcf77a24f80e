"""Mean weights of the policies that always show one item at one place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.candidate_table import ENTRY, places_logged
from offpolicy.doctor.choices import inverse, ordered_slates, place
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset

SHOWN = 10  # times, of an item that is judged
UNEVEN = 1e-3  # p-value below which items differ in how much less often they are shown
LOW = 4.0  # standard errors below 1 at which an item is surely shown less often than is logged


class ItemWeights(NamedTuple):
    """The item and place whose mean weight is most significantly above 1."""

    judged: int  # items and places
    z: float
    mean: float
    item: int
    place: int  # from 0
    all_low: bool  # every item stands at the first place less often than is logged, by one factor


class _Shown(NamedTuple):
    item: NDArray[np.int32]  # (M,) -1 = none
    weight: F64  # (M,) 1 / probability
    due: F64  # (A,) rows on which each item could have stood there


def item_weights(log: LoggedDataset, options: F64, replaced: bool) -> ItemWeights:
    """Of all items and places. The error is of the weights of the rows that show the item, which
    are 1 / p (1 / p - 1) in the mean: heavy rows widen it, so that a z above 0 errs to the safe
    side. Below 0 it does not, and an item may lack support: such z accuse nobody.

    `options` (N,) items that could stand at the first place; `replaced`: in every place.
    """
    judged, best, all_low = 0, (-np.inf, 0.0, 0, 0), False
    places = _places if places_logged(log) else _whole_slates
    for k, shown in enumerate(places(log, options, replaced)):
        live = shown.item >= 0
        item, w = shown.item[live], shown.weight[live]
        often = np.bincount(item, minlength=log.n_items) >= SHOWN
        if not often.any():
            continue
        total: F64 = np.bincount(item, w, log.n_items).astype(np.float64)
        spread = np.sqrt(np.bincount(item, w * np.maximum(w - 1, 0), log.n_items))
        z = _over(total - shown.due * (1 + ENTRY), spread)
        z[~often] = -np.inf
        at = int(z.argmax())
        judged += int(often.sum())
        best = max(best, (float(z[at]), float(total[at] / max(shown.due[at], 1)), at, k))
        if k == 0:
            all_low = _low(total[often], shown.due[often], spread[often])
    return ItemWeights(judged, *best, all_low)


def _low(total: F64, due: F64, spread: F64) -> bool:
    """All surely below what is due, and by one factor: rules that close items close some more than
    others."""
    from scipy.special import chdtrc

    if not (_over(total - due * (1 - ENTRY), spread) < -LOW).all():
        return False
    factor = float(total.sum() / due.sum())
    apart = float((_over(total - factor * due, spread) ** 2).sum())
    return bool(chdtrc(max(len(total) - 1, 1), apart) > UNEVEN)


def _over(gap: F64, spread: F64) -> F64:
    return np.divide(gap, spread, out=np.zeros(len(gap)), where=spread > 0)


def _places(log: LoggedDataset, options: F64, replaced: bool) -> Iterator[_Shown]:
    for k in range(log.slate_size):
        at = place(log, k, options, replaced)
        due = _on_offer(log, at.row)
        for item in at.above.T:
            due -= np.bincount(item, minlength=log.n_items)
        yield _Shown(at.item, inverse(at.p), due)


def _whole_slates(log: LoggedDataset, options: F64, replaced: bool) -> Iterator[_Shown]:
    """An item at one place, the others uniform over what is left."""
    size = (log.slate >= 0).sum(1)
    full = (size >= np.minimum(options, log.slate_size)) & (size > 0)
    rest = options if replaced else np.maximum(options - 1, 0)
    weight = np.zeros(len(log))
    others = ordered_slates(rest[full], size[full] - 1, replaced)
    weight[full] = inverse(others * log.propensity[full])
    due = _on_offer(log, np.flatnonzero(options > 0))
    for k in range(log.slate_size):
        yield _Shown(np.where(full, log.slate[:, k], -1).astype(np.int32), weight, due)


def _on_offer(log: LoggedDataset, row: NDArray[np.int64]) -> F64:
    """(A,) rows that offer each item."""
    if log.candidates is None:
        return np.full(log.n_items, float(len(row)))
    offer = log.candidates if len(row) == len(log) else log.candidates[row]
    return np.bincount(offer[offer >= 0], minlength=log.n_items).astype(np.float64)
