"""Array-likes of ids, numbers and instants as arrays; no entry is cut, wrapped around or filled."""

from __future__ import annotations

import datetime as dt
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT = 2.0**53  # float64 tells whole numbers apart up to here
KINDS = {"U": "text", "S": "bytes", "T": "text", "M": "dates", "m": "durations", "c": "complex"}


def whole_numbers(name: str, values: ArrayLike, fix: str) -> NDArray[Any]:
    """(T,) whole numbers of at most 64 bits: signed integers in their own type, others as int64.

    Raises:
        ValueError: an entry is missing, a fraction, text or too large; names the first, and `fix`.
    """
    array = _numeric(name, values, fix)
    if array.dtype.kind == "O":
        entries = array.tolist()
        _refuse(name, array, np.array([not _is_whole(x) for x in entries], bool), fix)
        return np.array([int(x) for x in entries], np.int64)
    if array.dtype.kind == "f":
        exact = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) <= EXACT)
        _refuse(name, array, ~exact, fix)
    if array.dtype.kind == "u":
        _refuse(name, array, array > np.iinfo(np.int64).max, fix)
    return array if array.dtype.kind == "i" else array.astype(np.int64)


def real_numbers(name: str, values: ArrayLike, fix: str) -> NDArray[Any]:
    """(T,) finite numbers: integers and floats in their own type, others as float64.

    Raises:
        ValueError: an entry is missing, infinite or no number; names the first, and `fix`.
    """
    array = _numeric(name, values, fix)
    if array.dtype.kind == "O":
        entries = array.tolist()
        _refuse(name, array, np.array([not isinstance(x, Real) for x in entries], bool), fix)
        if entries and all(isinstance(x, Integral) for x in entries):
            return whole_numbers(name, array, fix)
    if array.dtype.kind in "bO":
        array = array.astype(np.float64)
    if array.dtype.kind == "f":
        _refuse(name, array, ~np.isfinite(array), fix)
    return array


def instants(name: str, values: ArrayLike) -> NDArray[Any]:
    """(T,) times that sort exactly: numbers in their own type, dates as datetime64.

    Dates with a zone are taken in UTC. Raises ValueError where an entry is missing.
    """
    fix = (
        "Times are seconds or dates, such as np.array(texts, 'datetime64[s]'): fill what is "
        "missing, or drop the row."
    )
    array = _one_column(name, values)
    if array.dtype.kind == "O" and any(isinstance(x, dt.date) for x in array.tolist()):
        try:
            array = np.array([_in_utc(x) for x in array.tolist()])
        except TypeError:
            raise ValueError(f"{name} mixes dates with other values. {fix}") from None
    if array.dtype.kind not in "mM":
        return real_numbers(name, array, fix)
    _refuse(name, array, np.isnat(array), fix)
    return array


def order_keys(times: NDArray[Any]) -> NDArray[Any]:
    """(T,) 64-bit numbers in the order of `instants`; none is rounded."""
    wide = {"f": np.float64, "u": np.uint64}.get(times.dtype.kind, np.int64)
    return times.astype(wide, copy=False)


def seconds(times: NDArray[Any]) -> NDArray[np.float64]:
    """(T,) `instants` as float64: numbers as they are, dates in seconds since 1970."""
    if times.dtype.kind not in "mM":
        return times.astype(np.float64, copy=False)
    if np.datetime_data(times.dtype)[0] in ("Y", "M"):  # no fixed length
        times = times.astype(f"{times.dtype.kind}8[D]")
    unit, count = np.datetime_data(times.dtype)
    step, second = np.ones(1, f"m8[{count}{unit}]"), np.timedelta64(1, "s")
    ticks = times.astype(np.int64)
    whole = ticks * (step / second) if step[0] >= second else ticks / (second / step)
    return np.asarray(whole, np.float64)


def _one_column(name: str, values: ArrayLike) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        entries = np.asarray(values).astype(object)
        values = np.where(np.ma.getmaskarray(values), np.array(None, object), entries)
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; pass one column, one entry each")
    return array


def _numeric(name: str, values: ArrayLike, fix: str) -> NDArray[Any]:
    array = _one_column(name, values)
    if not len(array):
        return np.empty(0)
    if array.dtype.kind not in "biufO":
        kind = KINDS.get(array.dtype.kind, str(array.dtype))
        raise ValueError(f"{name} holds {kind} such as {str(array[0])!r}, no numbers. {fix}")
    return array


def _refuse(name: str, array: NDArray[Any], wrong: NDArray[np.bool_], fix: str) -> None:
    """Raise about the first wrong entry, counting the others."""
    rows = np.flatnonzero(wrong)
    if rows.size:
        row = int(rows[0])
        what = f"{name}[{row}] = {array[row]} {_fault(array[row])}"
        raise ValueError(f"{what} ({rows.size} of {len(array)} entries). {fix}")


def _fault(value: Any) -> str:
    if value is None or str(value) in ("nan", "NaT", "<NA>"):
        return "is missing"
    if not isinstance(value, Real):
        return "is not a number"
    if not np.isfinite(float(value)):
        return "is not finite"
    if isinstance(value, Integral):
        return "does not fit 64 bits"
    if not float(value).is_integer():
        return "is not a whole number"
    return "is a float beyond 2**53, where several whole numbers become one"


def _is_whole(value: Any) -> bool:
    if isinstance(value, Integral):
        return -(1 << 63) <= int(value) < 1 << 63
    return isinstance(value, Real) and float(value).is_integer() and abs(float(value)) <= EXACT


def _in_utc(value: Any) -> np.datetime64:
    """A date object, with or without a zone, or None."""
    if hasattr(value, "asm8"):  # a date of pandas keeps its nanoseconds
        return np.datetime64(value.asm8)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    if value is None or isinstance(value, dt.date):
        return np.datetime64(value, "us")
    raise TypeError(f"{value!r} is no date")
