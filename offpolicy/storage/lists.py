"""Lists that a text format holds as text: "[a, b]", "a|b", "a b" -> arrays of entries."""

from __future__ import annotations

import ast
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError

SEPARATORS = ("|", ";", ",", " ")  # the first that any cell holds


def lists_of_text(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """(N,) cells of text as an array of lists; entries that are numbers become numbers. A missing
    cell is an empty list.

    Raises:
        LogError: a cell is written otherwise than the others; names the row.
    """
    cells = ["" if x is None or x != x else str(x).strip() for x in column.tolist()]
    bracketed = any(cell.startswith("[") for cell in cells)
    separator = next((s for s in SEPARATORS if any(s in cell for cell in cells)), " ")
    rows = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        if bracketed:
            rows[row] = _bracketed(name, row, cell)
        else:
            rows[row] = [part.strip() for part in cell.split(separator) if part.strip()]
    flat = [entry for entries in rows for entry in entries]
    if flat and all(isinstance(x, int | float) for x in flat):
        return rows
    as_numbers = _numbers([str(x) for x in flat])
    if as_numbers is not None:
        ends = np.cumsum([len(entries) for entries in rows])
        rows[:] = [part.tolist() for part in np.split(as_numbers, ends[:-1])]
    return rows


def is_text(column: NDArray[Any]) -> bool:
    """Whether all entries that are there are text."""
    if column.ndim != 1 or column.dtype.kind not in "OUT":
        return False
    there = [x for x in column.tolist() if not (x is None or (isinstance(x, float) and x != x))]
    return bool(there) and all(isinstance(x, str) for x in there)


def looks_like_lists(column: NDArray[Any]) -> bool:
    """Whether cells of text hold several entries, in brackets or parted by | or ;."""
    if not is_text(column):
        return False
    cells = [str(x).strip() for x in column[:200].tolist() if x is not None and x == x]
    brackets = all(c.startswith("[") and c.endswith("]") for c in cells if c)
    return bool(cells) and (brackets or any("|" in c or ";" in c for c in cells))


def _bracketed(name: str, row: int, cell: str) -> list[Any]:
    if not cell:
        return []
    try:
        return list(json.loads(cell))
    except ValueError:
        pass
    try:
        return list(ast.literal_eval(cell))
    except (ValueError, SyntaxError):
        pass
    if not (cell.startswith("[") and cell.endswith("]")):
        raise LogError(
            f"{name}[{row}] = {cell!r} is no list, as others are. Write lists as [a, b], or part "
            "their entries by |."
        )
    inside = cell[1:-1].replace(",", " ")
    return [part.strip("'\"") for part in inside.split()]


def _numbers(entries: list[str]) -> NDArray[Any] | None:
    """Whole numbers or floats, where all are; ids such as 007 stay text."""
    if any(len(x) > 1 and x[0] == "0" and x.isdigit() for x in entries):
        return None
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(x) for x in entries], kind)
        except (ValueError, OverflowError):
            continue
    return None
