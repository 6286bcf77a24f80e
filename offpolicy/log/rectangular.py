"""Rows of different length (slates, candidates) as tables, padded by one rule or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError

EMPTY: dict[str, float] = {  # what an empty position or candidate carries
    "slate": -1, "candidates": -1, "prior_items": -1,
    "position_propensity": 1.0, "position_reward": 0.0, "candidate_propensity": 0.0,
}  # fmt: skip
LIKE = {  # a row of the one is as long as the row of the other
    "position_propensity": "slate", "position_reward": "slate",
    "candidate_propensity": "candidates",
}  # fmt: skip
ROWS = (list, tuple, np.ndarray)


def rectangular_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Every table whose rows are lists of different length, padded at the end with what an empty
    place carries: -1 for items, 1 for a position's probability, 0 for a reward or a candidate's.

    Raises:
        LogError: a row is no list, lists differ in length where no padding has a meaning, or a
            row is longer or shorter than the row that it belongs to.
    """
    rows = {name: _rows(name, x) for name, x in tables.items()}
    length = {name: _lengths(own) for name, own in rows.items() if own is not None}
    for name, size in length.items():
        other = length.get(LIKE.get(name, ""))
        if other is not None and len(other) == len(size) and (size != other).any():
            row = int(np.flatnonzero(size != other)[0])
            raise LogError(
                f"{name}[{row}] has {size[row]} entries, {LIKE[name]}[{row}] {other[row]}: lists "
                "of one row are of one length. Log both from the same slate."
            )
    return {
        name: x if (own := rows[name]) is None else _padded(name, own, length[name], tables)
        for name, x in tables.items()
    }


def column_array(x: Any) -> NDArray[Any]:
    """An array of any array-like; lists of different length become an array of lists."""
    if isinstance(x, np.ndarray) or not _ragged(x):
        return np.asarray(x)
    rows = np.empty(len(x), object)
    rows[:] = [np.asarray(row) for row in x]
    return rows


def _ragged(x: Any) -> bool:
    if not isinstance(x, list | tuple) or not any(isinstance(row, ROWS) for row in x):
        return False
    return len({len(row) if isinstance(row, ROWS) else -1 for row in x}) > 1


def _rows(name: str, x: Any) -> Sequence[Any] | None:
    """The lists that a table is made of; None where it is a table already, or a plain column."""
    if isinstance(x, np.ndarray):
        listed = x.dtype == object and x.ndim == 1
    else:
        if not isinstance(x, list | tuple):  # a Series, an Arrow column …
            x = None if x is None else np.asarray(x)
            return None if x is None or x.dtype != object else _rows(name, x)
        listed = _ragged(x)
    if not listed or not any(isinstance(row, ROWS) for row in x):
        return None
    for i, row in enumerate(x):
        if not isinstance(row, ROWS):
            raise LogError(
                f"{name}[{i}] = {row!r} is no list, as the others are; write an empty list for "
                "what is empty, or drop the row."
            )
    return list(x)


def _lengths(rows: Sequence[Any]) -> NDArray[np.int64]:
    return np.array([len(row) for row in rows], np.int64)


def _padded(
    name: str, rows: Sequence[Any], length: NDArray[np.int64], tables: Mapping[str, Any]
) -> NDArray[Any]:
    width = int(length.max(initial=0))
    short = np.flatnonzero(length != width)
    if not short.size and width:
        return np.asarray([np.asarray(row) for row in rows])
    whole = name == "candidate_propensity" and tables.get("candidates") is None
    if name not in EMPTY or whole:
        row = int(short[0]) if short.size else 0
        fix = "Give candidates too, or n_items entries a row" if whole else "Pad them"
        raise LogError(
            f"lists in {name} differ in length: {length[row]} entries in row {row}, {width} in "
            f"others. {fix}; nothing is filled in."
        )
    flat = np.concatenate([np.asarray(row) for row in rows if len(row)] or [np.zeros(0)])
    named = flat.dtype.kind in "UO" and EMPTY[name] == -1
    empty = np.array("" if named else EMPTY[name])
    padded = np.full((len(rows), width), empty, np.result_type(flat.dtype, empty.dtype))
    padded[np.arange(width) < length[:, None]] = flat
    return padded
