"""What columns of items and of users must be, before compiled code reads them by id."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 1e15  # size of a number of an item or a user: squares of such numbers are finite in float32
MOST_TOPICS = 2**20
MOST_ITEMS = 2**31 - 1  # ids are int32
WIDEST = 2**62  # of a whole number of a config, which is int64 in compiled code
OF = {"A": "items", "U": "users", "R": "responses"}  # letters of the shapes of columns
FALLBACK = 2**40  # bytes, where the system does not say how much memory it has


def check_whole(name: str, value: Any, least: int, rule: str, most: int = WIDEST) -> None:
    """Raise ValueError unless the value is a whole number in least..most; `rule` says so."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name} = {value!r}: give a whole number, {rule}")
    if int(value) > most:
        raise ValueError(f"{name} = {value}: give a whole number, at most {most}")


def check_finite(name: str, value: Any) -> None:
    """Raise ValueError unless the value is a number, and finite."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} = {value!r}: give a finite number")


def check_memory(what: str, numbers: float, change: str, *, size: int = 4) -> None:
    """Raise ValueError where so many numbers of `size` bytes do not fit into this computer."""
    needed, there = numbers * size, memory()
    if needed > there:
        raise ValueError(
            f"{what} would take {needed / 2**30:.3g} GiB of the {there / 2**30:.3g} GiB that there "
            f"are: {change}"
        )


def memory() -> int:
    """Bytes that this process may have at most."""
    limits = [FALLBACK]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if sys.platform != "win32":
        import resource

        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    return min(limit for limit in limits if limit > 0)


def as_ids(name: str, given: Any, least: int, below: int, rows: int | None) -> NDArray[np.int32]:
    """Whole numbers least..below-1 (rows,), or in any number of rows above 0, as int32.

    Raises ValueError naming the first row that is none.
    """
    column = as_numbers(name, given)
    if column.ndim != 1 or not len(column) or (rows is not None and len(column) != rows):
        wanted = "one for each item" if rows is None else f"{rows}, one for each item"
        raise ValueError(f"{name} have shape {column.shape}: give {wanted}")
    if column.dtype.kind not in "iu":
        raise ValueError(f"{name} are {column.dtype}: give whole numbers")
    outside: Any = (column < least) | (column >= below)
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(
            f"{name}[{i}] = {column[i]} must lie in {least}..{below - 1} "
            f"({outside.sum()} of {outside.size} items)"
        )
    return np.ascontiguousarray(column, np.int32)


def as_reals(
    name: str, given: Any, rows: int, *, of: str = "items", ndim: int = 1, most: float = MOST
) -> NDArray[np.float32]:
    """Finite numbers (rows, ...) of `ndim` dimensions, none empty, as float32.

    Raises ValueError naming the first row that holds another, or one above `most` in size.
    """
    column = as_numbers(name, given)
    if column.ndim != ndim or len(column) != rows:
        raise ValueError(
            f"{name} has {len(column) if column.ndim else 0} rows, shape {column.shape}, for "
            f"{rows} {of}: one row each, of {ndim} dimension{'s' * (ndim > 1)}"
        )
    if column.size == 0:
        raise ValueError(f"{name} is empty, {column.shape}: give at least one number in a row")
    check_rows(name, ~np.isfinite(column), "must be finite", column)
    check_rows(name, np.abs(column, dtype=np.float64) > most, f"is above {most:g}", column)
    return np.ascontiguousarray(column, np.float32)


def as_flags(name: str, given: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Booleans, or zeros and ones, of this shape."""
    flags = as_numbers(name, given)
    if flags.shape != shape or not np.isin(flags, (0, 1)).all():
        raise ValueError(f"{name} is {flags.dtype} {flags.shape}: give true or false {shape}")
    return np.ascontiguousarray(flags, np.bool_)


def as_numbers(name: str, given: Any) -> NDArray[Any]:
    """An array of real numbers or flags; ValueError for any other."""
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} is no array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is an array of {array.dtype}: give numbers")
    return array


def check_rows(name: str, bad: NDArray[np.bool_], rule: str, column: NDArray[Any]) -> None:
    """Raise ValueError naming the first row of a column (n, ...) that holds something bad."""
    rows = np.asarray(bad.reshape(len(bad), -1).any(1))
    if rows.any():
        i = int(np.argmax(rows))
        value = column[i] if column.ndim == 1 else column[i].ravel()[np.argmax(bad[i].ravel())]
        raise ValueError(f"{name}[{i}] = {value} {rule} ({rows.sum()} of {len(rows)} rows)")


def shaped_columns(
    what: str, given: Mapping[str, Any], shapes: Mapping[str, str], sizes: dict[str, int]
) -> dict[str, NDArray[np.float64]]:
    """The columns that a user model reads, as finite float64, each of its shape.

    shapes: by name, one letter for each dimension, as in "AR". sizes: what a letter stands for;
    a letter that is not in it yet takes the size it has first, of 1 or more, and keeps it.

    Raises ValueError naming the column that is missing or of another shape.
    """
    missing = [name for name in shapes if name not in given]
    if missing:
        raise ValueError(f"{what} needs {', '.join(missing)}: calibrate it again")
    out = {}
    for name, letters in shapes.items():
        array = as_numbers(name, given[name])
        if array.ndim == len(letters):
            known = {
                k: n for k, n in zip(letters, array.shape, strict=True) if n and k not in sizes
            }
            sizes.update(known)
        wanted = tuple(sizes.get(letter, 1) for letter in letters)
        if array.shape != wanted:
            rows, of = len(array) if array.ndim else 0, OF.get(letters[0], "entries")
            raise ValueError(
                f"{name} has {rows} rows for {wanted[0]} {of}, shape {array.shape}: {what} needs "
                f"{wanted}"
            )
        check_rows(name, ~np.isfinite(array), "must be finite", array)
        check_rows(name, np.abs(array, dtype=np.float64) > MOST, f"is above {MOST:g}", array)
        out[name] = np.ascontiguousarray(array, np.float64)
    return out
