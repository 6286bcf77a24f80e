"""A file of events: one row for each item that a user took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.data.guess import guess
from experiments.data.mapping import as_options
from offpolicy.errors import LogError
from offpolicy.storage.foreign import table_columns
from offpolicy.storage.instants import instants
from offpolicy.storage.tables import read_table
from offpolicy.vocabulary import Vocabulary, distinct_names

OURS = ("user", "item", "timestamp", "reward")


class Events(NamedTuple):
    """N rows. Users and items are coded in the order of their names, whole numbers by size."""

    user: NDArray[np.int64]  # (N,)
    item: NDArray[np.int64]  # (N,)
    users: Vocabulary
    items: Vocabulary
    time: NDArray[Any]  # (N,) numbers, or dates
    reward: NDArray[np.float64] | None  # (N,)
    notes: tuple[str, ...]  # what a reader should know: columns that nothing reads


def read_events(path: Path, columns: Mapping[str, str | Sequence[str]] | None = None) -> Events:
    """A .csv, .parquet or JSON-lines file with user, item, timestamp[, reward], which `columns`
    may call otherwise: {"item": "track_id"}.

    Raises ValueError, which names the column, the row and the fix, for one that does not fit.
    """
    named = _named(columns or {}, path)
    return events_of(read_table(path, text=[named["user"], named["item"]]), path, columns)


def events_of(
    table: Any, path: Path, columns: Mapping[str, str | Sequence[str]] | None = None
) -> Events:
    """The same of an Arrow table; errors name it by `path`."""
    named = _named(columns or {}, path)
    there = table.column_names
    missing = [n for n in OURS[:3] if named[n] not in there]
    absent = sorted(n for n in missing if n in (columns or {}))
    if absent:
        raise ValueError(
            f"{path} has columns {', '.join(there)}; there is no {named[absent[0]]}, which should "
            f"be its {absent[0]}"
        )
    if missing:
        raise ValueError(
            f"{path} has columns {', '.join(there)}; {', '.join(sorted(missing))} missing. "
            f"Name the columns user, item, timestamp and, if there is one, reward{_proposal(table)}"
        )
    _check_columns(table, path, named)
    if not table.num_rows:
        raise ValueError(f"{path} has no rows below its header: write one row for each event")
    used = {n: theirs for n, theirs in named.items() if theirs in there}
    for name, theirs in used.items():
        _check_filled(table[theirs], path, name, theirs)
    arrays = table_columns(table.select(list(dict.fromkeys(used.values()))))
    user, users = _coded(arrays[used["user"]], "users", path)
    item, items = _coded(arrays[used["item"]], "items", path)
    reward = _rewards(arrays[used["reward"]], path) if "reward" in used else None
    times = _times(arrays[used["timestamp"]], path)
    return Events(user, item, users, items, times, reward, _notes(table, used))


def _named(columns: Mapping[str, str | Sequence[str]], path: Path) -> dict[str, str]:
    """What each of our columns is called in the file."""
    given = {("timestamp" if n == "time" else n): theirs for n, theirs in columns.items()}
    unknown = sorted(set(given) - set(OURS))
    if unknown:
        raise ValueError(
            f"--columns {unknown[0]}=...: a file of interactions ({path}) has {', '.join(OURS)}"
        )
    lists = [n for n, theirs in given.items() if not isinstance(theirs, str)]
    if lists:
        raise ValueError(f"--columns {lists[0]}: a row has one {lists[0]}; name one column")
    return {n: str(given.get(n, n)) for n in OURS}


def _proposal(table: Any) -> str:
    found = guess(table)
    if found.kind != "interactions" or found.missing:
        return "."
    return f". They seem to be: {as_options(found.columns)}"


def _notes(table: Any, used: Mapping[str, str]) -> tuple[str, ...]:
    """What nothing reads; whether a reward is among it."""
    unused = [n for n in table.column_names if n not in used.values()]
    if not unused:
        return ()
    likely = guess(table).columns.get("reward") if "reward" not in used else None
    hint = f" ({likely} looks like a reward: --columns reward={likely})" if likely else ""
    return (f"columns that are not used: {', '.join(unused)}{hint}",)


def _check_columns(table: Any, path: Path, named: Mapping[str, str]) -> None:
    """Raise ValueError where a column is there twice, or holds lists or records."""
    import pyarrow as pa

    for ours, name in named.items():
        n = table.column_names.count(name)
        if n > 1:
            raise ValueError(f"{path} has {n} columns {name}; keep one")
        if n and pa.types.is_nested(kind := table[name].type):
            raise ValueError(f"{path}: {name} holds {kind}; a row has one {ours}")


def _check_filled(column: Any, path: Path, ours: str, theirs: str) -> None:
    """Raise ValueError at the first row that is empty."""
    import pyarrow.compute as pc

    gone = column.is_null()
    if column.type in ("string", "large_string"):
        gone = pc.or_kleene(gone, pc.equal(column, ""))
    if column.null_count or pc.any(gone).as_py():
        row = int(np.argmax(gone.to_numpy()))
        called = ours if ours == theirs else f"{theirs} ({ours})"
        raise ValueError(f"{path}, row {row}: {called} is empty; fill it or drop the row")


def _rewards(values: NDArray[Any], path: Path) -> NDArray[np.float64]:
    """Finite numbers."""
    if values.dtype.kind not in "iufb":
        kind = "string" if isinstance(values[0], str) else type(values[0]).__name__
        raise ValueError(f"{path}: reward holds {kind}, such as {values[0]!r}; need numbers")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{path}, row {bad[0]}: reward is {values[bad[0]]}; fill it or drop the row"
        )
    return np.asarray(values, np.float64)


def _coded(values: NDArray[Any], kind: str, path: Path) -> tuple[NDArray[np.int64], Vocabulary]:
    """Codes, and the names that they stand for."""
    try:
        names, codes = distinct_names(values)
    except LogError as error:
        raise ValueError(f"{path}: {kind}: {error}") from None
    if "" in names:
        row = int(np.argmax(codes == names.index("")))
        raise ValueError(
            f"{path}, row {row}: {values[row]} is no id of {kind}: ids are text, or whole numbers "
            "from 0 on"
        )
    return codes, Vocabulary(tuple(names), kind)


def _times(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Numbers or dates: `Sequences` puts them in order before they become seconds."""
    try:
        return instants("timestamp", values)
    except LogError as error:
        raise ValueError(f"{path}: {error} Numbers need seconds, or ms, us or ns.") from None
