"""What a caller gives for the columns of a log -> arrays of the log's own types, and the names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from numbers import Real
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.log.columns import (
    flags,
    ids_and_names,
    item_ids,
    labels,
    matrix,
    numbers,
    numbers32,
    whole_numbers,
)
from offpolicy.log.names import NameTable
from offpolicy.log.rectangular import column_array, rectangular_tables
from offpolicy.vocabulary import Vocabulary

IDS = ("session", "user")
NEEDED = ("session", "step", "slate", "propensity", "reward")
ITEMS = ("slate", "candidates", "consumed", "prior_items")


def typed_columns(
    given: Mapping[str, ArrayLike | None], names: Mapping[str, NameTable]
) -> tuple[dict[str, NDArray[Any]], dict[str, NameTable]]:
    """Columns by name, None where there is none -> those that are there, and the names of their
    ids beside those of `names`. An item given by name is looked up in names["item"].

    Raises:
        LogError: an entry is missing, of another kind, or fits no number of the log's types.
    """
    known = dict(names)
    columns: dict[str, NDArray[Any]] = {}
    present = {k: x for k, x in given.items() if x is not None}
    missing = [name for name in NEEDED if name not in present]
    if missing:
        raise LogError(f"the log has no {', '.join(missing)}: give an entry for each decision.")
    for name, x in present.items():
        _check_column(name, x)
    for name, x in rectangular_tables(present).items():
        if name in IDS:
            columns[name], table = ids_and_names(name, x)
            if table is not None:
                known[name] = table
        elif name in ITEMS:
            ids = item_ids(name, x, known.get("item"))
            columns[name] = matrix(ids) if name == "slate" else ids
        elif name == "step":
            columns[name] = whole_numbers(name, x, np.int32)
        elif name == "logger":
            columns[name] = labels(x)
        else:
            columns[name] = _measured(name, x)
    return columns, known


def _check_column(name: str, x: Any) -> None:
    """What is one value for all rows, or has no order, is no column."""
    plain = isinstance(x, str | bytes | Mapping | Set) or not hasattr(x, "__len__")
    if plain or getattr(x, "ndim", 1) == 0:
        raise LogError(
            f"{name} has shape (): it is a single {type(x).__name__}, not a column. Give an array "
            "or a list with an entry for each row."
        )


def coded_items(
    given: Mapping[str, Any],
    *,
    large: bool = False,
    names: Sequence[str] | None = None,
    every: bool = False,
) -> tuple[dict[str, Any], tuple[str, ...] | None]:
    """Columns, items as codes where some are names; and the names of the codes, sorted, None where
    items are codes as they come. `large`: whole numbers that fit no code are names, too; `every`:
    all are. `names`: those of the codes, where they are known.

    Raises:
        LogError: an item that `names` does not hold.
    """
    items = {n: x for n, x in given.items() if n in ITEMS and x is not None}
    if not (every or any(_names(x, large) for x in items.values())):
        return dict(given), None if names is None else tuple(names)
    filled = {n: x for n, x in given.items() if x is not None}
    tables = rectangular_tables(filled)
    arrays = {n: _as_names(tables[n]) for n in items}
    flat = [a.ravel().astype(object) for a in arrays.values()]
    known = Vocabulary.of(np.concatenate(flat)) if names is None else Vocabulary(tuple(names))
    return tables | {n: known.codes(a, n).astype(np.int32) for n, a in arrays.items()}, known.names


def _names(x: Any, large: bool) -> bool:
    """Whether entries are text, ids of other kinds, or whole numbers beyond 31 bits."""
    a = column_array(x)
    if a.dtype.kind in "iu":
        return large and bool(a.size) and int(a.max()) > np.iinfo(np.int32).max
    if a.dtype.kind != "O":
        return a.dtype.kind in "UT"
    flat = a.ravel().tolist()
    if any(isinstance(row, list | tuple | np.ndarray) for row in flat):
        return any(_names(row, large) for row in flat if row is not None and len(row))
    return any(
        isinstance(v, str | UUID)
        or (large and isinstance(v, int | np.integer) and v > np.iinfo(np.int32).max)
        for v in flat
    )


def _as_names(x: Any) -> NDArray[Any]:
    """The array; text stays text."""
    a = column_array(x)
    return a if a.dtype.kind in "iuf" else a.astype(object)


def _measured(name: str, x: ArrayLike) -> NDArray[Any]:
    """Flags and real numbers."""
    if name in ("terminated", "truncated"):
        return flags(name, x)
    if name in ("propensity", "reward", "row_weight"):
        return numbers(name, x)
    if name in ("responses", "context", "prior_responses"):
        return numbers32(name, x)
    return matrix(numbers(name, x))


def catalogue_size(n_items: int) -> int:
    """The number of items.

    Raises:
        LogError: it is none.
    """
    given: Any = n_items
    number = isinstance(given, Real) and math.isfinite(given)
    if not number or int(n_items) != n_items or n_items < 1:
        raise LogError(f"n_items = {n_items!r}; the catalogue has a whole number of items, >= 1.")
    return int(n_items)
