"""How a stored log keeps what its columns do not say: names of ids, and what its reader assumed.

Names of sessions and users stand in columns of their own beside the ids, so that rows may be moved
between files and keep them; names of items and the rest are metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.names import NameTable, item_table
from offpolicy.log.provenance import Provenance

if TYPE_CHECKING:
    import pyarrow as pa

NAMED = {"session": "session_name", "user": "user_name"}
REORDERED = b"longplay-reordered"  # key of the schema's metadata that compaction leaves


def name_columns(log: LoggedDataset) -> dict[str, pa.Array]:
    """The names of sessions and users, a row each; null where an id has none."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for column, stored in NAMED.items():
        table, ids = log.names.get(column), log.columns().get(column)
        if table is not None and ids is not None:
            known, at = table.find(ids)
            code = pa.array(at.astype(np.int32), mask=~known)
            columns[stored] = pa.DictionaryArray.from_arrays(code, pa.array(table.names.tolist()))
    return columns


def extra_metadata(log: LoggedDataset) -> dict[str, Any]:
    """What else a reader of the log must know; empty for a plain log."""
    extra: dict[str, Any] = {}
    if log.repeats:
        extra["repeats"] = True
    if log.max_steps is not None:
        extra["max_steps"] = log.max_steps
    if log.provenance.true():
        extra["provenance"] = log.provenance.true()
    if "item" in log.names:
        extra["item_names"] = log.names["item"].names.tolist()
    return extra


def stored_names(
    table: pa.Table, columns: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> dict[str, NameTable]:
    """The names that `name_columns` and `extra_metadata` wrote."""
    names: dict[str, NameTable] = {}
    for column, stored in NAMED.items():
        if stored in table.column_names and column in columns:
            encoded = table.column(stored).dictionary_encode().combine_chunks()
            code = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            distinct, first = np.unique(code, return_index=True)
            first, distinct = first[distinct >= 0], distinct[distinct >= 0]
            text = np.array(encoded.dictionary.to_pylist(), dtype="U")[distinct]
            order = np.argsort(columns[column][first], kind="stable")
            names[column] = NameTable(columns[column][first][order], text[order])
    if "item_names" in metadata:
        names["item"] = item_table(metadata["item_names"], int(metadata["n_items"]))
    return names


def stored_provenance(metadata: Mapping[str, Any], schema: pa.Schema) -> Provenance:
    """What `extra_metadata` wrote, and whether rows were put in another order since."""
    held = dict(metadata.get("provenance", {}))
    return Provenance(**(held | ({"reordered": True} if is_reordered(schema) else {})))


def is_reordered(schema: Any) -> bool:
    """Compaction put the rows of this Arrow schema in another order."""
    return REORDERED in (getattr(schema, "metadata", None) or {})


def reordered(schema: pa.Schema) -> pa.Schema:
    """The schema, marked: rows no longer stand in the order in which they were written."""
    return schema.with_metadata({**(schema.metadata or {}), REORDERED: b"1"})
