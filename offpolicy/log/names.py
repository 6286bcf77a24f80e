"""Ids that were given as names: the columns hold numbers, a table beside them keeps the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.groups import I64, group


class NameTable(NamedTuple):
    """Numbers of a column and their names."""

    ids: I64  # (M,) distinct, increasing
    names: NDArray[np.str_]  # (M,)

    def of(self, ids: NDArray[Any]) -> list[str]:
        """Names of some ids; an id without one stays a number."""
        known, at = self.find(ids)
        named = self.names[at].tolist()
        each = zip(known.tolist(), named, np.asarray(ids).tolist(), strict=True)
        return [str(name) if k else str(i) for k, name, i in each]

    def find(self, ids: NDArray[Any]) -> tuple[NDArray[np.bool_], I64]:
        """(M,) which ids have a name, and where it stands (0 where there is none)."""
        at = np.searchsorted(self.ids, ids)
        at[at == len(self.ids)] = 0
        known = self.ids[at] == ids if len(self.ids) else np.zeros(len(at), bool)
        return np.asarray(known), np.asarray(np.where(known, at, 0), np.int64)

    def ids_of(self, names: NDArray[np.str_]) -> tuple[NDArray[np.bool_], I64]:
        """(N,) which names the table has, and the id of each."""
        order = np.argsort(self.names, kind="stable")
        known, at = NameTable(self.names[order], order).find(names)  # type: ignore[arg-type]
        return known, self.ids[order[at]] if len(order) else at


Names = Mapping[str, NameTable]  # by column: session, user, item


def name_of(names: Names, column: str, number: Any) -> str:
    """One id as a reader knows it."""
    return names[column].of(np.array([number]))[0] if column in names else str(number)


def number_names(column: str, a: NDArray[np.str_]) -> tuple[I64, NameTable]:
    """A name's number is its hash: the same in every log, so that logs and parts can be joined.

    Raises:
        LogError: two names have the same hash.
    """
    found = group(a)
    names = a[found.first]
    heads = [blake2b(s.encode(), digest_size=8).digest() for s in names.tolist()]
    ids = np.frombuffer(b"".join(heads), np.int64) if heads else np.zeros(0, np.int64)
    order = np.argsort(ids, kind="stable")
    table = NameTable(ids[order], names[order])
    same = np.flatnonzero(table.ids[1:] == table.ids[:-1])
    if same.size:
        pair = ", ".join(table.names[same[0] : same[0] + 2].tolist())
        raise LogError(f"{column} names {pair} share a number; rename one of them.")
    return (ids[found.code] if heads else found.code), table


def merged(tables: Sequence[NameTable]) -> NameTable:
    """Several tables as one; an id that several of them name keeps the first name."""
    ids = np.concatenate([t.ids for t in tables])
    names = np.concatenate([t.names for t in tables])
    distinct, first = np.unique(ids, return_index=True)
    return NameTable(distinct, names[first])


def item_table(item_names: Sequence[str] | NDArray[np.str_], n_items: int) -> NameTable:
    """Names of the items 0, 1, 2 …

    Raises:
        LogError: more names than items, or a name twice.
    """
    names = np.asarray(item_names, dtype="U")
    distinct, count = np.unique(names, return_counts=True)
    if names.ndim != 1 or len(names) > n_items or (count > 1).any():
        twice = f"; {str(distinct[count > 1][0])!r} stands there twice" if (count > 1).any() else ""
        raise LogError(
            f"item_names has shape {names.shape} for {n_items} items{twice}. It names the items "
            "0, 1, 2 … in order, each by a name of its own."
        )
    return NameTable(np.arange(len(names), dtype=np.int64), names)


def numbered_items(column: str, a: NDArray[np.str_], table: NameTable) -> NDArray[np.int32]:
    """Item names as item ids; an empty name is an empty position, -1.

    Raises:
        LogError: a name is not in the table.
    """
    flat = a.ravel()
    known, ids = table.ids_of(flat)
    empty = flat == ""
    unknown = np.flatnonzero(~known & ~empty)
    if unknown.size:
        row = int(unknown[0]) // max(a[0].size, 1)
        raise LogError(
            f"{column}[{row}] holds {str(flat[unknown[0]])!r}, which item_names does not name. "
            f"Name every item of the catalogue. ({unknown.size} entries break this rule.)"
        )
    return np.where(empty, -1, ids).astype(np.int32).reshape(a.shape)
