"""Mean weights of the policies that always show one item at one place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.candidate_table import ENTRY, places_logged
from offpolicy.doctor.choices import inverse, ordered_slates, place
from offpolicy.doctor.splits import Split, splits
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset

SHOWN = 10  # times, of an item that may be shown too seldom
UNEVEN = 1e-3  # p-value below which items differ in how much less often they are shown
LOW = 4.0  # standard errors below 1 at which an item is surely shown less often than is logged


class ItemWeights(NamedTuple):
    """The item, place and group of rows whose mean weight is most significantly above 1."""

    judged: int  # items, places and groups
    z: float
    mean: float
    item: int
    place: int  # from 0
    group: str  # of rows; "" = all
    low: tuple[int, ...]  # places at which every item stands less often than logged, by one factor


class _Shown(NamedTuple):
    row: NDArray[np.int64]  # (M,) rows that could have shown something there
    item: NDArray[np.int32]  # (M,) -1 = none
    weight: F64  # (M,) 1 / probability
    above: NDArray[np.int32]  # (M, k) items that could not stand there


def item_weights(log: LoggedDataset, options: F64, replaced: bool) -> ItemWeights:
    """Of all items and places, on all rows and on halves of them by context. The error is of the
    weights of the rows that show the item, which are 1 / p (1 / p - 1) in the mean: heavy rows
    widen it, so that a z above 0 errs to the safe side. Below 0 it does not, and an item may lack
    support: such z accuse nobody.

    `options` (N,) items that could stand at the first place; `replaced`: in every place.
    """
    judged, best, low = 0, (-np.inf, 0.0, 0, 0, ""), list[int]()
    places = _places if places_logged(log) else _whole_slates
    parts = list(splits(log))
    for k, shown in enumerate(places(log, options, replaced)):
        for part in parts:
            total, due, spread = _sums(log, shown, part)
            z = _over(total - due * (1 + ENTRY), spread)
            at = int(z.argmax())
            judged += int((total > 0).sum())
            item, cell = divmod(at, part.kinds)
            mean = float(total[at] / max(due[at], 1e-300))
            best = max(best, (float(z[at]), mean, item, k, part.name(cell)))
            if part.kinds == 1 and _all_low(log, shown, total, due):
                low.append(k)
    return ItemWeights(judged, *best, tuple(low))


def _sums(log: LoggedDataset, shown: _Shown, part: Split) -> tuple[F64, F64, F64]:
    """Weight, rows due, and standard error of the weight, of each item and group.

    Rows that were kept with a known chance count by their row_weight; the error is then of their
    own residuals."""
    kinds, cells = part.kinds, log.n_items * part.kinds
    group = part.code if len(shown.row) == len(log) else part.code[shown.row]
    h = None if log.row_weight is None else log.row_weight[shown.row]

    def add(item: NDArray[np.int32], x: F64 | None) -> F64:
        key = item if kinds == 1 else item * kinds + group
        if int(item.min(initial=0)) < 0:
            live = item >= 0
            key, x = key[live], None if x is None else x[live]
        return np.bincount(key, x, cells).astype(np.float64)

    def offer(x: F64 | None) -> F64:
        if log.candidates is None:
            due = np.tile(np.bincount(group, x, kinds), log.n_items).astype(np.float64)
        else:
            offered = log.candidates if len(group) == len(log) else log.candidates[shown.row]
            due = np.sum([add(item, x) for item in offered.T], axis=0)
        for item in shown.above.T:
            due -= add(item, x)
        return due

    w = shown.weight
    if h is None:
        square = add(shown.item, w * np.maximum(w - 1, 0))
        return add(shown.item, w), offer(None), np.sqrt(square)
    square = add(shown.item, h**2 * ((w - 1) ** 2 - 1)) + offer(h**2)
    return add(shown.item, h * w), offer(h), np.sqrt(np.maximum(square, 0))


def _all_low(log: LoggedDataset, shown: _Shown, total: F64, due: F64) -> bool:
    """All items shown often enough are surely below what is due, and by one factor: rules that
    close items, and policies that do not explore all of them, favour some."""
    from scipy.special import chdtrc

    live = shown.item >= 0
    item, w = shown.item[live], shown.weight[live]
    often = np.bincount(item, minlength=log.n_items) >= SHOWN
    if not often.any():
        return False
    spread = np.sqrt(np.bincount(item, w**2, log.n_items)[often])
    total, due = total[often], due[often]
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
        yield _Shown(at.row, at.item, inverse(at.p), at.above)


def _whole_slates(log: LoggedDataset, options: F64, replaced: bool) -> Iterator[_Shown]:
    """An item at one place, the others uniform over what is left."""
    size = (log.slate >= 0).sum(1)
    full = (size >= np.minimum(options, log.slate_size)) & (size > 0)
    rest = options if replaced else np.maximum(options - 1, 0)
    weight = np.zeros(len(log))
    others = ordered_slates(rest[full], size[full] - 1, replaced)
    weight[full] = inverse(others * log.propensity[full])
    row = np.flatnonzero(options > 0)
    for k in range(log.slate_size):
        item = np.where(full, log.slate[:, k], -1).astype(np.int32)[row]
        yield _Shown(row, item, weight[row], log.slate[row, :0])
