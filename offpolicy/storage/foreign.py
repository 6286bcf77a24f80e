"""Foreign tables as logs: pandas, polars, Arrow, DuckDB relations, plain Parquet, any names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.columns import whole_numbers
from offpolicy.log.dataset import PRIOR_COLUMNS, ROW_COLUMNS, LoggedDataset

Mapped = Mapping[str, str | Sequence[str]]


def log_from_table(
    source: Any, *, columns: Mapped | None = None, n_items: int | None = None
) -> LoggedDataset:
    """A table of decisions as a checked log.

    `source` is a pandas or polars frame, an Arrow table, a DuckDB relation, anything that speaks
    Arrow's stream protocol, or a mapping of arrays. `columns` says which of its columns is what:
    {"slate": ["item_1", "item_2"], "propensity": "p"}; several names make a matrix, list columns
    are matrices already, and what is not named keeps its own name. Without a session each row is a
    session of its own. `n_items` defaults to the largest item id and one.

    Raises:
        LogError: a named column is missing, or a rule of the log is broken.
    """
    there = _columns(source)
    wanted = {name: (columns or {}).get(name, name) for name in (*ROW_COLUMNS, *PRIOR_COLUMNS)}
    unknown = sorted(set(columns or {}) - set(wanted))
    if unknown:
        raise LogError(
            f"columns names {', '.join(unknown)}, which a log does not have; its columns are "
            f"{', '.join(wanted)}."
        )
    present: dict[str, Any] = {}
    for name, theirs in wanted.items():
        parts = [theirs] if isinstance(theirs, str) else list(theirs)
        missing = [p for p in parts if p not in there]
        if missing and name in (columns or {}):
            raise LogError(
                f"{name} should come from {', '.join(missing)}, but the table has "
                f"{', '.join(list(there)[:12])}."
            )
        if not missing:
            present[name] = there[parts[0]] if len(parts) == 1 else _stacked(there, parts)
    return LoggedDataset.from_columns(**_filled(present, n_items, list(there)))


def _filled(present: dict[str, Any], n_items: int | None, there: list[str]) -> dict[str, Any]:
    needed = [n for n in ("slate", "reward") if n not in present]
    if needed:
        raise LogError(
            f"the table has no {', '.join(needed)} (it has {', '.join(there[:12])}); say which of "
            'its columns it is: columns={"slate": "item_id"}.'
        )
    rows = len(present["reward"])
    if "session" not in present:
        present |= {"session": np.arange(rows), "step": np.zeros(rows, np.int32)}
    present.setdefault("propensity", None)
    present.setdefault("step", None)
    if present["step"] is None:
        raise LogError(
            "the table names sessions but no step; add each row's position in its session."
        )
    if n_items is not None:
        return present | {"n_items": n_items}
    ids = (n for n in ("slate", "candidates", "consumed") if n in present)
    largest = [whole_numbers(n, present[n], np.int32).max(initial=-1) for n in ids]
    return present | {"n_items": max(int(max(largest)) + 1, 1)}


def _columns(source: Any) -> dict[str, NDArray[Any]]:
    if isinstance(source, Mapping):
        columns = {str(k): np.asarray(v) for k, v in source.items()}
        for name, x in columns.items():
            if x.ndim == 0:
                raise LogError(f"{name} is one value; a column has one entry per decision.")
        return columns
    import pyarrow as pa

    if isinstance(source, pa.Table):
        table = source
    elif hasattr(source, "__arrow_c_stream__"):
        table = pa.table(source)
    elif hasattr(source, "to_arrow"):
        table = source.to_arrow()
    elif hasattr(source, "arrow"):
        table = source.arrow()
        table = table.read_all() if hasattr(table, "read_all") else table
    else:
        raise LogError(
            f"cannot read a log from {type(source).__name__}; pass a path, a pandas or polars "
            "frame, an Arrow table, a DuckDB relation or a mapping of arrays."
        )
    return {name: _array(table.column(name), name) for name in table.column_names}


def _array(column: Any, name: str) -> NDArray[Any]:
    import pyarrow as pa

    flat = column.combine_chunks()
    kind = flat.type
    if not (
        pa.types.is_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or (pa.types.is_large_list(kind))
    ):
        return np.asarray(flat.to_numpy(zero_copy_only=False))
    values = np.asarray(flat.flatten().to_numpy(zero_copy_only=False))
    width = len(values) // max(len(flat), 1)
    even = {len(x) for x in flat} if not pa.types.is_fixed_size_list(kind) else {width}
    if flat.null_count or even != {width}:
        raise LogError(f"lists in {name} differ in length; pad them with -1 (items) or 0.")
    return values.reshape(len(flat), width)


def _stacked(there: dict[str, NDArray[Any]], parts: list[str]) -> NDArray[Any]:
    return np.column_stack([there[p] for p in parts])
