"""A column of times, however it is written, as times that sort exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError

UNITS = (("ns", 1e17), ("us", 1e14), ("ms", 1e11))  # since 1970, of numbers above; else seconds


def instants(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """(N,) datetime64 in UTC where entries are dates, ISO 8601 text (with a zone or without, which
    is taken for UTC), or numbers of milliseconds, microseconds or nanoseconds since 1970; other
    numbers, seconds or an order, stay what they are.

    Raises:
        LogError: an entry is missing or no time; names the row.
    """
    a = np.asarray(column)
    if a.dtype.kind == "O" and all(isinstance(x, int | float) for x in a.tolist()):
        a = np.array([np.nan if x is None else x for x in a.tolist()])
    if a.dtype.kind in "OUT":
        a = _of_text(name, a)
    if a.dtype.kind == "M":
        _refuse(name, np.isnat(a), "is missing")
        return a
    if a.dtype.kind not in "iuf":
        raise LogError(
            f"{name} holds {a.dtype}, no times. Times are dates, ISO 8601 text or numbers."
        )
    _refuse(name, ~np.isfinite(a.astype(np.float64)), "is missing")
    unit = unit_of(a)
    if unit == "s":
        return a
    if a.dtype.kind == "f":
        return np.asarray(a / {"ns": 1e9, "us": 1e6, "ms": 1e3}[unit])
    return a.astype(np.int64).astype(f"M8[{unit}]")


def unit_of(numbers: NDArray[Any]) -> str:
    """The unit in which numbers are plausible times since 1970: s, ms, us or ns."""
    middle = float(np.median(np.abs(numbers.astype(np.float64)))) if len(numbers) else 0.0
    return next((unit for unit, least in UNITS if middle > least), "s")


def _of_text(name: str, a: NDArray[Any]) -> NDArray[Any]:
    import pandas as pd

    texts = pd.Series(a, dtype=object)
    gone = texts.isna().to_numpy() | (texts.astype(str).str.strip() == "").to_numpy()
    _refuse(name, gone, "is missing")
    try:
        numbers = texts.astype(np.float64)
    except (TypeError, ValueError):
        pass
    else:
        whole = texts.astype(str).str.fullmatch(r"-?\d+").all()
        return np.asarray(texts.astype(np.int64) if whole else numbers)
    parsed = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    bad = np.flatnonzero(parsed.isna().to_numpy())
    if bad.size:
        raise LogError(
            f"{name}[{bad[0]}] = {str(a[bad[0]])!r} is no time. Write ISO 8601, such as "
            f"2023-03-01T08:00:20Z, or seconds since 1970. ({bad.size} such entries)"
        )
    return np.asarray(parsed.dt.tz_localize(None).to_numpy())


def _refuse(name: str, wrong: NDArray[np.bool_], what: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        raise LogError(
            f"{name}[{rows[0]}] {what}. Fill it or drop the row. ({rows.size} such entries)"
        )
