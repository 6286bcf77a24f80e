"""Whatever array-likes a log is built from, as arrays of its own types; nothing wraps or fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.log import checks
from offpolicy.log.names import NameTable, number_names, numbered_items

TABLES = {
    "slate": 2, "position_propensity": 2, "position_reward": 2, "candidates": 2,
    "candidate_propensity": 2, "responses": 2, "context": 2, "prior_items": 2, "prior_responses": 3,
}  # fmt: skip


def check_shapes(columns: Mapping[str, NDArray[Any]]) -> None:
    """Columns are (N,), tables (N, width): nothing is broadcast by accident."""
    for name, x in columns.items():
        if not isinstance(x, np.ndarray):
            raise LogError(
                f"{name} is {type(x).__name__}, not an array: build logs with "
                "LoggedDataset.from_columns, which takes lists and tables too."
            )
        wanted = TABLES.get(name, 1)
        if x.ndim == 1 and wanted == 2:
            raise LogError(
                f"{name} has shape {x.shape}; it is (N, width), one row each, but is one column. "
                "Give a column of lists (not text), or name a column for each place: "
                f'columns={{"{name}": ["a", "b"]}}, on the command line --columns {name}=a,b.'
            )
        if x.ndim != wanted:
            shape = ("(N,), one entry", "(N, width), one row", "(S, length, width), one table")
            raise LogError(
                f"{name} has shape {x.shape}; it is {shape[wanted - 1]} each. Ravel a column that "
                "stands in a table of width 1; cut a larger table into its columns."
            )


def whole_numbers(name: str, x: ArrayLike, kind: type) -> NDArray[Any]:
    """Whole numbers of the wanted type; none is wrapped, rounded or merged with another."""
    a = np.asarray(x)
    if a.dtype.kind in "iub":
        return _narrowed(name, a, kind)
    try:
        whole = a.astype(np.float64)
    except (TypeError, ValueError):
        raise LogError(
            f"{name} holds {a.dtype} entries such as {_first(a)!r}; it must hold "
            "whole numbers. Map foreign ids to 0..n_items-1 before logging (items may be names "
            "where item_names gives them in order)."
        ) from None
    checks.validate(
        checks.any_of(~(np.isfinite(whole) & (whole == np.floor(whole)))),
        lambda i: (
            f"{name}[{i}] = {_entry(a, i)} is not a whole number. Ids and steps are integers; "
            "write -1 for an empty position."
        ),
    )
    if a.dtype.kind != "O":  # objects may be whole numbers of any size
        _check_exact(name, a, whole)
    return _narrowed(name, whole if a.dtype.kind != "O" else _exact(a, whole), kind)


def _entry(a: NDArray[Any], row: int) -> Any:
    """What a reader is shown of a row."""
    if not a.ndim:
        return a.item()
    return a[row].tolist() if isinstance(a[row], np.ndarray | np.generic) else a[row]


def _first(a: NDArray[Any]) -> Any:
    return _entry(a.ravel(), 0) if a.size else "none"


def _check_exact(name: str, a: NDArray[Any], whole: NDArray[np.float64]) -> None:
    """Different whole numbers are different entries of the type that they came in."""
    digits = np.finfo(a.dtype).nmant + 1 if a.dtype.kind == "f" else 53
    checks.validate(
        checks.any_of(np.abs(whole) >= 2.0**digits),
        lambda i: (
            f"{name}[{i}] = {_entry(a, i)} is a {a.dtype} of 2**{digits} or more, where different "
            "ids have become one number. Read the column as int64 or as text (a missing entry "
            "makes many readers turn whole numbers into floats: drop or fill it first)."
        ),
    )


def _exact(a: NDArray[Any], whole: NDArray[np.float64]) -> NDArray[Any]:
    """Objects as integers, through no float."""
    try:
        return np.array([int(v) for v in a.ravel().tolist()], np.int64).reshape(a.shape)
    except OverflowError:
        return whole


def _narrowed(name: str, a: NDArray[Any], kind: type) -> NDArray[Any]:
    """Whole numbers as the wanted type, none of them wrapped around."""
    if a.dtype == kind:
        return a
    low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    checks.validate(
        checks.any_of((a < low) | (a >= high)),
        lambda i: (
            f"{name}[{i}] = {_entry(a, i)} does not fit {np.dtype(kind)}. Number the ids from 0 "
            "on, or pass them as strings where the column takes names."
        ),
    )
    return a.astype(kind, copy=False)


def ids_and_names(name: str, x: ArrayLike) -> tuple[NDArray[np.int64], NameTable | None]:
    """Sessions or users: whole numbers as they are, anything else by name, with its names."""
    a = np.asarray(x)
    if a.dtype.kind not in "OUST":
        return whole_numbers(name, a, np.int64), None
    if a.dtype.kind == "O":  # floats among them have lost the ids that they stood for
        floats = np.array([v if isinstance(v, float) else 0.0 for v in a.ravel().tolist()])
        _check_exact(name, floats, floats)
    return number_names(name, _named(name, a))


def _named(name: str, a: NDArray[Any]) -> NDArray[np.str_]:
    """Ids that are names; a missing one is no name."""
    check_no_missing(name, a, "Drop the row, or give it an id of its own.")
    return a.astype("U")


def check_no_missing(name: str, a: NDArray[Any], fix: str) -> None:
    """No entry is None or not a number."""
    if a.dtype.kind in "fO":
        gone = np.array([x is None or x != x for x in a.ravel().tolist()], bool).reshape(a.shape)
        checks.validate(checks.any_of(gone), lambda i: f"{name}[{i}] is missing. {fix}")


def numbers(name: str, x: ArrayLike) -> NDArray[np.float64]:
    """As float64; raises LogError, by name, where an entry is no number."""
    kind = np.asarray(x).dtype
    if kind.kind in "cmM":
        raise LogError(f"{name} holds {kind}, no real numbers; log the number that is meant.")
    try:
        return np.asarray(x, np.float64)
    except (TypeError, ValueError) as error:
        raise LogError(
            f"{name} holds entries that are not numbers ({error}); a missing {name} is never "
            "filled in. Drop those rows, or log the number."
        ) from None


def numbers32(name: str, x: ArrayLike) -> NDArray[np.float32]:
    """As a float32 table; what overflows becomes infinite, and the log's checks raise."""
    table = x if isinstance(x, np.ndarray) and x.dtype == np.float32 else numbers(name, x)
    with np.errstate(over="ignore"):
        return matrix(table.astype(np.float32, copy=False))


def flags(name: str, x: ArrayLike) -> NDArray[np.bool_]:
    """True and False, or 1 and 0; words and missing entries are neither."""
    a = np.asarray(x)
    if a.dtype.kind == "b":
        return a
    if a.dtype.kind in "iuf":
        known = (a == 0) | (a == 1)
    else:
        each = [isinstance(v, bool | int | float) and v in (0, 1) for v in a.ravel().tolist()]
        known = np.array(each, bool).reshape(a.shape)
    checks.validate(
        checks.any_of(~known),
        lambda i: (
            f"{name}[{i}] = {a[i]} is neither true nor false. Write booleans, or 1 and 0; a word "
            "such as 'False' would count as true."
        ),
    )
    return a.astype(bool)


def item_ids(name: str, x: ArrayLike, table: NameTable | None = None) -> NDArray[np.int32]:
    """As int32; names by the table of the catalogue."""
    a = np.asarray(x)
    if table is None or a.dtype.kind not in "OUS":
        return whole_numbers(name, a, np.int32)
    if a.dtype.kind == "O" and not any(isinstance(v, str) for v in a.ravel().tolist()):
        return whole_numbers(name, a, np.int32)
    return numbered_items(name, _named(name, a), table)


def picked(rows: ArrayLike | slice, n: int) -> NDArray[np.int64]:
    """The numbers of rows of n that a mask, indices or a slice name.

    Raises:
        LogError: they are not there.
    """
    if isinstance(rows, slice):
        return np.arange(n)[rows]
    x = np.asarray(rows)
    mask = x.dtype == bool
    if x.ndim != 1 or not (mask or x.dtype.kind in "iu" or not x.size):
        raise LogError(
            f"rows is {x.dtype} of shape {x.shape}; give a mask (N,), numbers of rows, or a slice."
        )
    if mask and len(x) != n:
        raise LogError(f"the mask of rows has {len(x)} entries for {n} rows; give one for each.")
    if not mask:
        checks.validate(
            (x < -n) | (x >= n), lambda i: f"rows[{i}] = {x[i]} is none of the log's {n} rows."
        )
        x = x.astype(np.int64)
    rows_of: NDArray[np.int64] = np.arange(n)[x]
    return rows_of


def matrix(x: NDArray[Any]) -> NDArray[Any]:
    """(N,) becomes (N, 1)."""
    return x[:, None] if x.ndim == 1 else x


def labels(x: ArrayLike) -> NDArray[Any]:
    """Whole numbers or strings; who has no name is nobody's."""
    a = np.asarray(x)
    return a if a.dtype.kind in "iuU" else _named("logger", a)
