"""Times of decisions, however they are written, as seconds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.log.checks import validate
from offpolicy.log.columns import numbers

DAY = 86_400.0  # seconds
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}  # per second
YEAR_2100 = 4.1e9  # seconds since 1970
EPOCH = 1e8  # numbers below are no times since 1970, but since some start of the log's own
LONGEST = 730 * DAY  # of a log whose times count from its own start


def seconds(time: ArrayLike) -> F64:
    """(N,) times as seconds: numbers as they are, naive times as UTC, times with a zone since 1970.

    Takes numbers of seconds, datetime64, Python's datetimes and dates, pandas Series and indexes
    with or without a zone, and ISO 8601 strings.

    Raises:
        LogError: an entry is missing or no time, naive times stand among times with a zone, or the
            numbers are plainly no seconds.
    """
    kind = str(getattr(time, "dtype", ""))
    if kind.startswith("datetime64[") and "," in kind:  # pandas, with a zone
        time = time.to_numpy(dtype="datetime64[ns]")  # type: ignore[union-attr]
    a = np.asarray(time)
    if a.dtype.kind in "OUS" and a.size and not _numeric(a):
        return _of_objects(a)
    if a.dtype.kind == "M":
        validate(np.isnat(a), lambda i: f"time[{i}] is missing. Drop the row, or log its time.")
        return a.astype("datetime64[us]").astype(np.int64) / 1e6
    x = numbers("time", a)
    _check_unit(x)
    return x


def _numeric(a: NDArray[Any]) -> bool:
    return a.dtype.kind == "O" and isinstance(a.ravel()[0], int | float | np.number)


def _of_objects(a: NDArray[Any]) -> F64:
    """Datetimes, dates and ISO strings, one by one."""
    x, zones = np.empty(len(a)), set[bool]()
    for i, entry in enumerate(a.ravel().tolist()):
        t = _datetime(entry, i)
        zones.add(t.tzinfo is not None)
        x[i] = (t if t.tzinfo else t.replace(tzinfo=UTC)).timestamp()
    if len(zones) > 1:
        raise LogError(
            "time holds naive times and times with a zone; nobody knows how far they are apart. "
            "Give all of them a zone, or none."
        )
    return x


def _datetime(entry: Any, row: int) -> datetime:
    if isinstance(entry, bytes):
        entry = entry.decode()
    if entry is None or entry != entry:
        raise LogError(f"time[{row}] is missing. Drop the row, or log its time.")
    try:
        if isinstance(entry, str):
            return datetime.fromisoformat(entry)
        if isinstance(entry, date) and not isinstance(entry, datetime):
            return datetime(entry.year, entry.month, entry.day)
    except ValueError:
        entry = repr(entry)
    if not isinstance(entry, datetime):
        raise LogError(
            f"time[{row}] = {entry} is no time. Times are seconds, datetimes, or ISO 8601 strings "
            "such as 2023-03-01T00:00:20Z."
        )
    return entry


def _check_unit(x: F64) -> None:
    """Numbers that lie centuries ahead as seconds are of a smaller unit.

    Raises:
        LogError: they are.
    """
    if not x.size or not np.isfinite(x).all():
        return
    low, middle, high = np.quantile(x, [0.05, 0.5, 0.95])
    span = (high - low) / DAY
    if middle > YEAR_2100:
        per = next((k for k, v in UNITS.items() if middle / v < YEAR_2100), "nanoseconds")
        raise LogError(
            f"time[0] = {x[0]:.6g} and the like are no seconds since 1970: they look like {per}. "
            f"Divide time by {UNITS[per]:g}."
        )
    if low < EPOCH and high - low > LONGEST:
        raise LogError(
            f"time spans {span:.0f} days as seconds, from {x.min():.6g} to {x.max():.6g}; it looks "
            "like milliseconds or a smaller unit. Give seconds: divide milliseconds by 1000."
        )
