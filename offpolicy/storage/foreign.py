"""Foreign tables as logs: pandas, polars, Arrow, DuckDB relations, plain Parquet, any names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.columns import whole_numbers
from offpolicy.log.conversion import coded_items
from offpolicy.log.dataset import PRIOR_COLUMNS, ROW_COLUMNS, LoggedDataset
from offpolicy.log.provenance import Provenance
from offpolicy.log.rectangular import column_array, rectangular_tables
from offpolicy.storage.derived import CLICKED, TIME, of_clicks, order_by_time, with_lists
from offpolicy.storage.naming import is_reordered

Mapped = Mapping[str, str | Sequence[str]]
EACH_ROW = "@row"  # stands for the session column of a table of single decisions
OF_SESSIONS = ("step", "terminated", "truncated", "user", "prior_items", "prior_responses")
ITEMS = ("slate", "candidates", "consumed")


def log_from_table(
    source: Any,
    *,
    columns: Mapped | None = None,
    n_items: int | None = None,
    item_names: Sequence[str] | None = None,
    numbers_are_names: bool = False,
) -> LoggedDataset:
    """A table of decisions as a checked log.

    `source` is a pandas or polars frame, an Arrow table, a DuckDB relation, anything that speaks
    Arrow's stream protocol, or a mapping of arrays. `columns` says which of its columns is what:
    {"slate": ["item_1", "item_2"], "propensity": "p"}; several names make a matrix, list columns
    are matrices already (lists of different length are padded), and what is not named keeps its own
    name; text that holds lists ("[a, b]", "a|b") is read as lists. `n_items` defaults to the
    largest item id and one. Items may be names: `item_names` names the items 0, 1, 2 … in order, by
    default those that the table holds, sorted; whole numbers are codes, unless
    `numbers_are_names`. Two columns need not be a log's: `time`, which gives the steps of sessions
    where there are none, and `clicked`, a list of what was clicked of each slate (0 and 1 for each
    place, or items), which gives position_reward, consumed and, where there is none, the reward,
    the number of clicks.

    A table without a session is read as single decisions, one a row, and has no session values. If
    it has steps, ends or users, that must be said: {"session": "@row"}.

    Raises:
        LogError: a named column is missing, or a rule of the log is broken.
    """
    there = table_columns(source)
    present, rows = in_order(_present(there, dict(columns or {})))
    moved = rows is not None and bool((np.diff(rows) < 0).any())
    read = Provenance(reordered=moved or is_reordered(getattr(source, "schema", None)))
    present, item_names = coded_items(
        present, large=n_items is None, names=item_names, every=numbers_are_names
    )
    return LoggedDataset.from_columns(**_filled(present, n_items, item_names, list(there), read))


def in_order(present: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.int64] | None]:
    """The columns, steps by time where sessions have none; and which row of the table stands in
    each place then, None where all stay."""
    time = present.pop(TIME, None)
    if time is None or "step" in present or present.get("session") is None:
        return present, None
    step, rows = order_by_time(present["session"], time)
    moved = {n: np.asarray(x)[rows] for n, x in present.items()}
    return moved | {"step": step}, rows


def row_order(source: Any, columns: Mapped) -> NDArray[np.int64] | None:
    """Which row of a table stands in each row of the log that is read from it; None: all stay."""
    return in_order(_present(table_columns(source), dict(columns)))[1]


def _present(there: Mapping[str, NDArray[Any]], named: dict[str, Any]) -> dict[str, Any]:
    """The log's columns that the table has, by the log's names for them."""
    wanted = {name: named.get(name, name) for name in (*ROW_COLUMNS, *PRIOR_COLUMNS, TIME, CLICKED)}
    unknown = sorted(set(named) - set(wanted))
    if unknown:
        raise LogError(
            f"columns names {', '.join(unknown)}, which a log does not have; its columns are "
            f"{', '.join(wanted)}."
        )
    present: dict[str, Any] = {}
    for name, theirs in wanted.items():
        parts = [theirs] if isinstance(theirs, str) else list(theirs)
        missing = [p for p in parts if p not in there]
        if name == "session" and parts == [EACH_ROW]:
            present[name] = None
        elif missing and name in named:
            raise LogError(
                f"{name} should come from {', '.join(missing)}, but the table has "
                f"{', '.join(list(there)[:12])}."
            )
        elif not missing:
            present[name] = there[parts[0]] if len(parts) == 1 else _stacked(there, parts)
    if CLICKED in present and CLICKED not in named:
        del present[CLICKED]  # some column of the table's own
    present = with_lists(present)
    return of_clicks(present) if CLICKED in present else present


def _filled(
    present: dict[str, Any],
    n_items: int | None,
    item_names: Sequence[str] | None,
    there: list[str],
    read: Provenance,
) -> dict[str, Any]:
    """The arguments of a log, with what may be left out."""
    needed = [n for n in ("slate", "reward") if n not in present]
    if needed:
        raise LogError(
            f"the table has no {', '.join(needed)} (it has {', '.join(there[:12])}); say which of "
            'its columns it is: columns={"slate": "item_id"}, on the command line --columns '
            "slate=item_id."
        )
    present.setdefault("propensity", None)
    for name in ("session", "user"):  # numbers of more than 63 bits are names
        ids = present.get(name)
        if ids is not None and ids.dtype.kind == "u" and ids.max(initial=0) > np.iinfo(int).max:
            present[name] = ids.astype("U")
    if present.get("session") is None:
        present, read = _single_decisions(present), replace(read, single_decisions=True)
    elif "step" not in present:
        raise LogError(
            "the table names sessions but no step; add each row's position in its session, or say "
            'which column holds the time: columns={"time": "played_at"}.'
        )
    present |= rectangular_tables({n: present[n] for n in ("slate", "candidates") if n in present})
    if n_items is not None and item_names is not None and n_items < len(item_names):
        raise LogError(
            f"--n-items {n_items}: the log names {len(item_names)} items; leave n_items out, or "
            "give the size of the whole catalogue."
        )
    if n_items is None:
        n_items = _largest(present, item_names)
        read = replace(read, inferred_items=item_names is None)
    return present | {"n_items": n_items, "item_names": item_names, "provenance": read}


def _single_decisions(present: dict[str, Any]) -> dict[str, Any]:
    """Rows as decisions of their own: where nothing speaks of sessions, or where that was said."""
    speak = [n for n in OF_SESSIONS if n in present]
    if speak and "session" not in present:
        raise LogError(
            f"the table has {', '.join(speak)} but no session, so which rows belong together is "
            'unknown. Say which of its columns it is: columns={"session": "episode_id"}; or that '
            f'each row is a decision of its own: columns={{"session": "{EACH_ROW}"}}.'
        )
    rows = len(present["reward"])
    kept = {n: x for n, x in present.items() if n not in ("step", "terminated", "truncated")}
    return kept | {"session": np.arange(rows), "step": np.zeros(rows, np.int32)}


def _largest(present: Mapping[str, Any], item_names: Sequence[str] | None) -> int:
    """The size of the catalogue as far as the table, or its names, show it."""
    if item_names is not None:
        return max(len(item_names), 1)
    ids = [whole_numbers(n, present[n], np.int32).max(initial=-1) for n in ITEMS if n in present]
    return max(int(max(ids)) + 1, 1)


def table_columns(source: Any) -> dict[str, NDArray[Any]]:
    """The columns of a table by name; lists of different length are an array of lists.

    Raises:
        LogError: it is no table.
    """
    if isinstance(source, Mapping):
        columns = {str(k): _plain(v) for k, v in source.items()}
        for name, x in columns.items():
            if x.ndim == 0:
                raise LogError(f"{name} is one value; a column has one entry per decision.")
        return columns
    table = arrow_table(source)
    if isinstance(table, Mapping):
        return table_columns(table)
    return {name: _array(table.column(name), name) for name in table.column_names}


def arrow_table(source: Any) -> Any:
    """An Arrow table of whatever speaks Arrow: pandas and polars frames, DuckDB relations, Arrow
    itself; columns by name where their types have no Arrow's.

    Raises:
        LogError: it is no table.
    """
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return source
    table: Any
    if hasattr(source, "__arrow_c_stream__"):
        try:
            table = pa.table(source)
            table.validate(full=True)  # or offsets could reach beyond what was handed over
        except (pa.ArrowException, OverflowError, ValueError) as error:  # of types, or no stream
            if hasattr(source, "columns"):  # Decimal, UUID, large ints: by columns
                return {str(name): source[name] for name in source.columns}
            raise LogError(
                f"the {type(source).__name__} cannot be read as an Arrow table: {error}. Give its "
                "columns another type, or a mapping of arrays."
            ) from None
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
    return table


def _plain(values: Any) -> NDArray[Any]:
    """As `column_array`; whole numbers of any size stay what they are."""
    a = column_array(values)
    large = a.dtype.kind == "f" and isinstance(values, list | tuple)
    if large and all(isinstance(x, int) for x in values):
        return np.array(values, object)
    return a


def _array(column: Any, name: str) -> NDArray[Any]:
    import pyarrow as pa

    flat = column.combine_chunks()
    kind = flat.type
    if str(kind) == "extension<arrow.uuid>":
        return np.array([None if x is None else str(x) for x in flat.to_pylist()], object)
    if not (
        pa.types.is_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or (pa.types.is_large_list(kind))
    ):
        return np.asarray(flat.to_numpy(zero_copy_only=False))
    if flat.null_count:
        row = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0])
        raise LogError(f"{name}[{row}] is missing; write an empty list for what is empty.")
    values = np.asarray(flat.flatten().to_numpy(zero_copy_only=False))
    if pa.types.is_fixed_size_list(kind):
        return values.reshape(len(flat), kind.list_size)
    size = flat.value_lengths().to_numpy(zero_copy_only=False)
    if len(size) and (size == size[0]).all():
        return values.reshape(len(flat), int(size[0]))
    rows = np.empty(len(flat), object)
    rows[:] = np.split(values, np.cumsum(size)[:-1])
    return rows


def _stacked(there: Mapping[str, NDArray[Any]], parts: list[str]) -> NDArray[Any]:
    return np.column_stack([there[p] for p in parts])
