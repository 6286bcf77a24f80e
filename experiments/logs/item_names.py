"""Logs whose items are known by names: which name is which id, and the same ids every time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.data.mapping import column_names
from experiments.logs.log_files import open_log
from offpolicy import LoggedDataset, read_log
from offpolicy.storage.foreign import ITEMS, table_columns
from offpolicy.storage.manifest import MANIFEST
from offpolicy.storage.tables import FORMATS, read_table

OF_LOG = "log"
NAMES = "items.txt"  # in the folder that holds a policy


def open_named_log(
    path: Path,
    columns: Sequence[str],
    n_items: int | None,
    max_steps: int | None = None,
    items: str | None = None,
) -> LoggedDataset:
    """As `open_log`; items of a foreign table may be names.

    items: a file of the items' names, one a line in the order of their ids, or "log": the names
        that the table holds, in alphabetical order, which is also what text stands for by default.

    Raises:
        ValueError: the table holds an item that the file does not name.
    """
    if (path / MANIFEST).exists() or not (path.is_dir() or path.suffix in FORMATS):
        log = open_log(path, columns, n_items, max_steps)
        if items not in (None, OF_LOG) and "item" in log.names:
            _check_same(item_names(log), _names_in(str(items)), path, str(items))
        return log
    named = column_names(columns)
    ids = [str(named.get(name, name)) for name in ("session", "user")]
    table = table_columns(read_table(path, text=ids))
    ours = {name: named.get(name, name) for name in ITEMS}
    theirs = {name: [t] if isinstance(t, str) else list(t) for name, t in ours.items()}
    held = [t for several in theirs.values() for t in several if t in table]
    if items is None and not any(_flat(table[name]).dtype.kind in "OU" for name in held):
        return open_log(path, columns, n_items, max_steps)
    texts = {name: _text(_flat(table[name])) for name in held}
    if items in (None, OF_LOG):
        names = sorted(set().union(*(set(np.unique(x).tolist()) for x in texts.values())) - {""})
    else:
        names = _names_in(str(items))
    if n_items is not None and n_items < len(names):
        whose = "the log" if items in (None, OF_LOG) else items
        raise ValueError(
            f"--n-items {n_items}: {whose} names {len(names)} items; leave it out, or give the "
            "size of the whole catalogue"
        )
    number = {name: at for at, name in enumerate(names)} | {"": -1}
    for name in held:
        table[name] = _numbered(table[name], texts[name], number, name, str(items))
    log = read_log(table, columns=named, n_items=n_items or len(names), item_names=names)
    return log if max_steps is None else log.with_max_steps(max_steps)


def items_beside(policies: Iterable[str | Path | None], items: str | None) -> str | None:
    """Where the items' names are: `items`, or the items.txt that `longplay improve` wrote beside
    those of `policies` that are folders.

    Raises:
        ValueError: two of these files differ.
    """
    folders = [Path(p) for p in policies if p is not None and Path(p).is_dir()]
    beside = [f.parent / NAMES for f in folders if (f.parent / NAMES).is_file()]
    if items is not None or not beside:
        return items
    for other in beside[1:]:
        if _names_in(str(other)) != _names_in(str(beside[0])):
            raise ValueError(
                f"{beside[0]} and {other} differ, so that ids of these policies mean other items: "
                "judge them one by one"
            )
    return str(beside[0])


def item_names(log: LoggedDataset) -> list[str]:
    """Of the items 0..A-1, numbers where they have none."""
    return log.names_of("item", np.arange(log.n_items))


def _names_in(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines()


def _check_same(own: list[str], given: list[str], path: Path, items: str) -> None:
    """Raise ValueError where a log's ids mean other items than a file of names says."""
    pairs = enumerate(zip(own, given, strict=False))
    other = next((f"{i} is {a!r}, not {b!r}" for i, (a, b) in pairs if a != b), "")
    if other:
        raise ValueError(
            f"in {path} item {other} as in {items}: the policy's ids mean other items. Write the "
            "log with the names in the order of that file"
        )


def _flat(x: NDArray[Any]) -> NDArray[Any]:
    """All entries of a column of entries, or of lists."""
    lists = x.dtype == object and len(x) > 0 and isinstance(x[0], np.ndarray | list | tuple)
    return np.concatenate([np.asarray(row) for row in x]) if lists else x.ravel()


def _text(x: NDArray[Any]) -> NDArray[Any]:
    """Entries as names; "" for what is missing."""
    if x.dtype.kind == "f":
        whole = np.where(np.isnan(x), -1, x).astype(np.int64)
        return np.where(whole < 0, "", whole.astype("U"))
    if x.dtype.kind in "iu":
        return np.where(x < 0, "", x.astype("U"))
    return np.array(["" if one is None or one != one else str(one) for one in x.tolist()])


def _numbered(
    column: NDArray[Any], texts: NDArray[Any], number: dict[str, int], name: str, items: str
) -> NDArray[Any]:
    """The column in ids."""
    distinct, code = np.unique(texts, return_inverse=True)
    unknown = [one for one in distinct.tolist() if one not in number]
    if unknown:
        raise ValueError(
            f"{name} holds {unknown[0]!r}, which {items} does not name ({len(unknown)} such items):"
            " add new items at its end, so that the ids of the others stay"
        )
    ids = np.array([number[one] for one in distinct.tolist()], np.int32)[code]
    if column.dtype == object and isinstance(column[0], np.ndarray | list | tuple):
        rows = np.empty(len(column), object)
        rows[:] = np.split(ids, np.cumsum([len(row) for row in column])[:-1])
        return rows
    return ids.reshape(column.shape)
