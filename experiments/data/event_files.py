"""A file of events: one row for each item that a user took."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Events(NamedTuple):
    """N rows. Items are coded in order of their names."""

    user: NDArray[np.int64]  # (N,)
    item: NDArray[np.int64]  # (N,)
    item_names: tuple[str, ...]
    time: NDArray[Any]  # (N,) numbers or dates, as they are in the file
    reward: NDArray[np.float64] | None  # (N,)


def read_events(path: Path) -> Events:
    """A .csv or .parquet file with user, item, timestamp[, reward].

    Raises ValueError, which names the column, the row and the fix, for one that does not fit.
    """
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as papq

    try:
        table = pacsv.read_csv(path) if path.suffix == ".csv" else papq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from None
    missing = {"user", "item", "timestamp"} - set(table.column_names)
    if missing:
        raise ValueError(
            f"{path} has columns {', '.join(table.column_names)}; {', '.join(sorted(missing))} "
            "missing. Name the columns user, item, timestamp and, if there is one, reward."
        )
    _check_columns(table, path)
    if not table.num_rows:
        raise ValueError(f"{path} has no rows below its header: write one row for each event")
    for name in ("user", "item", "timestamp", "reward"):
        if name in table.column_names and table[name].null_count:
            row = int(np.argmax(table[name].is_null().to_numpy()))
            raise ValueError(f"{path}, row {row}: {name} is empty; fill it or drop the row")
    user, _ = _coded(table["user"])
    item, names = _coded(table["item"])
    reward = _rewards(table["reward"], path) if "reward" in table.column_names else None
    return Events(user, item, names, _times(table["timestamp"], path), reward)


def _check_columns(table: Any, path: Path) -> None:
    """Raise ValueError where a column is there twice, or holds lists or records."""
    import pyarrow as pa

    for name in ("user", "item", "timestamp", "reward"):
        n = table.column_names.count(name)
        if n > 1:
            raise ValueError(f"{path} has {n} columns {name}; keep one")
        if n and pa.types.is_nested(kind := table[name].type):
            raise ValueError(f"{path}: {name} holds {kind}; a row has one {name}")


def _rewards(column: Any, path: Path) -> NDArray[np.float64]:
    """Finite numbers."""
    values = column.to_numpy()
    if values.dtype.kind not in "iufb":
        raise ValueError(f"{path}: reward holds {column.type}, such as {values[0]!r}; need numbers")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{path}, row {bad[0]}: reward is {values[bad[0]]}; fill it or drop the row"
        )
    return np.asarray(values, np.float64)


def _coded(column: Any) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(codes, names): codes count distinct values in sorted order, whatever the file's order."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_numpy(zero_copy_only=False)
    order = np.argsort(values, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[encoded.indices.to_numpy()], tuple(map(str, values[order]))


def _times(column: Any, path: Path) -> NDArray[Any]:
    """Numbers or dates, as they are: `Sequences` puts them in order before they become seconds."""
    values = column.to_numpy()
    if values.dtype.kind not in "iufM":
        raise ValueError(
            f"{path}: timestamp holds {column.type}, such as {values[0]!r}; need seconds"
        )
    return np.asarray(values)
