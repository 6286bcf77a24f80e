"""Order and repartition a log on disk so that sessions are whole and stand together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.storage.atomic import atomic_folder
from offpolicy.storage.manifest import damage, unreadable, verify_part
from offpolicy.storage.naming import reordered
from offpolicy.storage.parquet import parquet_manifest, parquet_parts, write_table
from offpolicy.streaming.stream import BATCH

if TYPE_CHECKING:
    import pyarrow as pa

FAN = 64  # files written to at a time
SAMPLE = 256  # ids per part that say where parts begin


def compact(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    rows_per_part: int = 2_000_000,
    session: str = "session",
    step: str = "step",
    user: str = "user",
    verify: bool = True,
) -> Path:
    """Rewrite the Parquet files at `source` as a new folder in which the rows of a session stand
    together, in step order, and, where there is a column `user`, the sessions of a user: what
    `stream_estimates` needs. Ids increase from file to file. Memory is one part, or the largest
    user. A Longplay log stays one; its files are compared with their sha256 if `verify`.

    Raises:
        LogError: `destination` exists, a file is damaged, or the columns are not there.
        ValueError: a part of no rows.
    """
    import pyarrow.parquet as pq

    if rows_per_part < 1:
        raise ValueError(f"rows_per_part = {rows_per_part}; a part has at least one row")
    parts, destination = parquet_parts(source), Path(destination)
    if destination.exists():
        raise LogError(f"{destination} exists; compacting writes a new folder. Choose another.")
    for part in parts if verify else ():
        verify_part(part)
    files = [part.path for part in parts]
    try:
        schema, rows = pq.read_schema(files[0]), sum(pq.read_metadata(f).num_rows for f in files)
    except damage() as error:
        raise unreadable(files[0], error) from error
    keys = _keys(schema.names, session, step, user, files[0])
    edges = _edges(files, keys[0], rows, -(-rows // rows_per_part))
    if not _in_order(files, keys):
        schema = reordered(schema)
    with atomic_folder(destination) as work:
        entries = [
            _ordered(bucket, work / f"part-{k:05d}.parquet", keys)
            for k, bucket in enumerate(_buckets(files, work, keys[0], edges, schema))
        ]
        parquet_manifest(work, schema, entries)
    return destination


def _in_order(files: list[Path], keys: list[str]) -> bool:
    """The rows stand by the keys already."""
    before: list[NDArray[Any]] | None = None
    for file in files:
        for batch in _batches(file, keys):
            columns = [batch.column(k).to_numpy(zero_copy_only=False) for k in keys]
            if not len(columns[0]):
                continue
            if before is not None:
                columns = [np.append(b, x) for b, x in zip(before, columns, strict=True)]
            rising = np.ones(len(columns[0]) - 1, bool)
            for x in reversed(columns):
                rising = (x[1:] > x[:-1]) | ((x[1:] == x[:-1]) & rising)
            if not rising.all():
                return False
            before = [x[-1:] for x in columns]
    return True


def _keys(names: list[str], session: str, step: str, user: str, file: Path) -> list[str]:
    """Columns to sort by: users where there are any, their sessions, steps."""
    if session == user and "session" in names:  # asked to keep users whole, by their name alone
        session = "session"
    keys = [*([user] if user in names and user != session else []), session, step]
    for name in keys:
        if name not in names:
            raise LogError(f"{file} has no column {name}; it has {', '.join(names)}.")
    return keys


def _batches(file: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    try:
        yield from pq.ParquetFile(file, page_checksum_verification=True).iter_batches(
            BATCH, columns=columns
        )
    except damage() as error:
        raise unreadable(file, error) from error


def _ids(batch: pa.RecordBatch, unit: str, file: Path) -> NDArray[Any]:
    column = batch.column(unit)
    if column.null_count:
        raise LogError(f"{file}: {unit} misses entries; fix the column, or drop those rows.")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _edges(files: list[Path], unit: str, rows: int, parts: int) -> NDArray[Any]:
    """The ids at which parts begin, after the first: quantiles of a sample of rows."""
    if parts <= 1:
        return np.empty(0)
    every, at, sample = max(rows // (SAMPLE * parts), 1), 0, []
    for file in files:
        for batch in _batches(file, [unit]):
            ids = _ids(batch, unit, file)
            sample.append(ids[-at % every :: every])
            at += len(ids)
    ordered = np.sort(np.concatenate(sample))
    begins = ordered[np.arange(1, parts) * len(ordered) // parts]
    return np.asarray(begins[np.append(True, begins[1:] != begins[:-1])])


def _buckets(
    files: list[Path], work: Path, unit: str, edges: NDArray[Any], schema: pa.Schema
) -> Iterator[Path]:
    """The rows of one part after another, each a file that is removed when it was used."""
    step = -(-(len(edges) + 1) // FAN)  # parts to a file; where it is more, they are split again
    borders = edges[step - 1 :: step]
    buckets = [
        work / f"{files[0].name if files[0].parent == work else 'bucket'}-{k:02d}"
        for k in range(len(borders) + 1)
    ]
    _scatter(files, buckets, unit, borders, schema)
    for k, bucket in enumerate(buckets):
        inside = edges[k * step : (k + 1) * step - 1]
        if len(inside):
            yield from _buckets([bucket], work, unit, inside, schema)
        else:
            yield bucket
        bucket.unlink()


def _scatter(
    files: list[Path], buckets: list[Path], unit: str, borders: NDArray[Any], schema: pa.Schema
) -> None:
    """Every row into the file of its range of ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(b, schema)) for b in buckets]
        for file in files:
            for batch in _batches(file):
                if batch.schema.names != schema.names:
                    raise LogError(f"{file} has other columns than {files[0]}; write them anew.")
                bucket = np.searchsorted(borders, _ids(batch, unit, file), side="right")
                order = np.argsort(bucket, kind="stable")
                sorted_rows = pa.Table.from_batches([batch.take(pa.array(order))]).cast(schema)
                begins = np.searchsorted(bucket[order], np.arange(len(buckets) + 1))
                for writer, at, end in zip(writers, begins[:-1], begins[1:], strict=True):
                    if end > at:
                        writer.write_table(sorted_rows.slice(at, end - at))


def _ordered(bucket: Path, part: Path, keys: list[str]) -> dict[str, Any]:
    """The rows of one part in order, and what the manifest says of them."""
    import pyarrow.parquet as pq

    table = pq.read_table(bucket, partitioning=None)
    digest = write_table(table.sort_by([(key, "ascending") for key in keys]), part)
    return {"file": part.name, "rows": table.num_rows, "file_sha256": digest}
