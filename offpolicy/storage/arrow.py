"""Between a LoggedDataset and Arrow tables: matrices are fixed-size lists, widths are metadata.

Prior histories stand on the first row of their session and are null elsewhere. They are lists
without a size, since pyarrow before 26 neither writes nor reads fixed-size lists with nulls; logs
that hold the latter are read where pyarrow can.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import PRIOR_COLUMNS, ROW_COLUMNS, LoggedDataset
from offpolicy.log.provenance import joint
from offpolicy.storage.naming import (
    extra_metadata,
    name_columns,
    stored_names,
    stored_provenance,
)
from offpolicy.storage.tables import KEY  # under it the file carries n_items, schema and shapes

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1


def table_from_log(log: LoggedDataset) -> pa.Table:
    """The log as one Arrow table; prior histories stand on the first row of their session."""
    import pyarrow as pa

    arrays, names, shapes = [], [], {}
    for name, x in log.columns().items():
        shapes[name] = list(x.shape[1:])
        if x.size == 0:
            continue  # a width of 0 (no responses): the metadata says so
        rows = log.groups.first if name in PRIOR_COLUMNS else None
        arrays.append(_column(x, rows, len(log)))
        names.append(name)
    named = name_columns(log)
    for name, column in named.items():
        arrays.append(column)
        names.append(name)
    metadata = {"schema_version": SCHEMA_VERSION, "n_items": log.n_items, "shapes": shapes}
    metadata |= {"propensity_source": log.propensity_source} | extra_metadata(log)
    metadata |= {"named": sorted(named)} if named else {}
    metadata["crc32"] = _crc32(metadata)
    return pa.table(arrays, names=names).replace_schema_metadata({KEY: json.dumps(metadata)})


def log_from_tables(tables: list[pa.Table], source: str) -> LoggedDataset:
    """Tables that `table_from_log` made, one after another, as one checked log.

    Raises:
        LogError: a table is foreign, or they disagree in catalogue or columns.
    """
    import pyarrow as pa

    every = [read_metadata(t.schema, source) for t in tables]
    for metadata, one in zip(every, tables, strict=True):
        lost = sorted(set(metadata.get("named", ())) - set(one.column_names))
        if lost and set(one.column_names) - {*metadata["shapes"], *metadata["named"]}:
            raise LogError(
                f"{source} has no column {lost[0]}, and one that nobody named; copy it again."
            )
    own = ("provenance", "named")  # of a part
    first, *others = [{k: v for k, v in m.items() if k not in own} for m in every]
    if any(metadata != first for metadata in others):
        raise LogError(f"the parts of {source} differ in catalogue or columns; write them anew.")
    table = pa.concat_tables([_unsized(t) for t in tables]).combine_chunks()
    columns: dict[str, Any] = {}
    for name, shape in first["shapes"].items():
        if name not in (*ROW_COLUMNS, *PRIOR_COLUMNS):
            raise LogError(f"{source} has an unknown column {name!r}; it is of another version.")
        columns[name] = _matrix(table, name, shape)
    log = LoggedDataset.from_columns(
        n_items=first["n_items"],
        repeats=first.get("repeats", False),
        max_steps=first.get("max_steps"),
        names=stored_names(table, columns, first),
        provenance=joint(
            stored_provenance(m, t.schema) for m, t in zip(every, tables, strict=True)
        ),
        **columns,
    )
    estimated = first["propensity_source"] == "estimated"
    return log.with_estimated_propensities() if estimated else log


def read_metadata(schema: pa.Schema, source: str) -> dict[str, Any]:
    """What the writer said of the table.

    Raises:
        LogError: no Longplay writer wrote it, or one of another schema did.
    """
    raw = (schema.metadata or {}).get(KEY)
    if raw is None:
        raise LogError(
            f"{source} is Parquet but no Longplay log (columns {', '.join(schema.names[:8])}). "
            "Say what its columns mean with read_log(..., columns={...}, n_items=...), or build a "
            "log with LoggedDataset.from_columns."
        )
    try:
        metadata = dict(json.loads(raw))
        version = metadata["schema_version"]
        whole = metadata.pop("crc32", None) in (None, _crc32(metadata))
        _ = metadata["n_items"], metadata["shapes"].items(), metadata["propensity_source"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogError(f"the metadata of {source} is damaged ({error}); copy it again.") from error
    if not whole:
        raise LogError(
            f"the metadata of {source} is damaged (its checksum differs); copy it again."
        )
    if version != SCHEMA_VERSION:
        raise LogError(
            f"{source} has log schema {version}, this version reads "
            f"{SCHEMA_VERSION}. Write the log again with this version."
        )
    return metadata


def _crc32(metadata: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(metadata, sort_keys=True).encode())


def _column(x: NDArray[Any], rows: NDArray[np.int64] | None, n: int) -> Any:
    """(n, ...) -> an Arrow array of n rows; `rows`, which rise, say where x's entries stand."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(x).reshape(-1))
    if x.ndim == 1:
        return flat
    size = int(np.prod(x.shape[1:]))
    if rows is None:
        return pa.FixedSizeListArray.from_arrays(flat, size)
    absent = np.ones(n, np.bool_)
    absent[rows] = False
    ends = np.append(0, np.cumsum(np.where(absent, 0, size)))
    return pa.LargeListArray.from_arrays(pa.array(ends), flat, mask=pa.array(absent))


def _unsized(table: pa.Table) -> pa.Table:
    """Prior histories as lists without a size, which older logs hold as lists of one size."""
    import pyarrow as pa

    for name in set(PRIOR_COLUMNS).intersection(table.column_names):
        kind = table.schema.field(name).type
        if pa.types.is_fixed_size_list(kind):
            at, column = table.schema.get_field_index(name), table.column(name)
            table = table.set_column(at, name, column.cast(pa.large_list(kind.value_type)))
    return table


def _matrix(table: pa.Table, name: str, shape: list[int]) -> NDArray[Any]:
    """A column as an array (n, *shape); nulls (rows that start no session) are left out."""
    import pyarrow as pa

    if name not in table.column_names:
        if int(np.prod(shape)) != 0:
            raise LogError(f"the table has no column {name}, its metadata says so; copy it again.")
        return np.zeros((table.num_rows, *shape), np.float32)
    chunk = table.column(name).combine_chunks()
    if not shape:
        return np.asarray(chunk.to_numpy(zero_copy_only=False))
    sized = pa.types.is_fixed_size_list(chunk.type)
    if not (sized or pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type)):
        raise LogError(f"column {name} is {chunk.type}, its metadata says lists; copy it again.")
    if chunk.null_count:
        chunk = chunk.drop_null()
    if not sized:
        size = chunk.value_lengths().to_numpy(zero_copy_only=False)
        if (size != int(np.prod(shape))).any():
            raise LogError(
                f"column {name} has lists of {size.min()}..{size.max()} entries, its metadata says "
                f"{int(np.prod(shape))}; copy it again."
            )
    return np.asarray(chunk.flatten().to_numpy(zero_copy_only=False)).reshape(-1, *shape)
