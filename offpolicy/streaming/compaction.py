"""Order and repartition a log on disk so that sessions are whole and stand together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from offpolicy.errors import LogError
from offpolicy.storage.atomic import atomic_folder
from offpolicy.storage.naming import reordered
from offpolicy.storage.parquet import ROW_GROUP, parquet_manifest
from offpolicy.streaming.stream import BATCH, parquet_files

if TYPE_CHECKING:
    import pyarrow as pa


def compact(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    rows_per_part: int = 2_000_000,
    session: str = "session",
    step: str = "step",
) -> Path:
    """Rewrite the Parquet files at `source` as a new folder in which the rows of a session stand
    together, in step order, in one file. Two passes; memory is one part. A Longplay log stays one.

    Raises:
        LogError: `destination` exists, or the columns are not there.
    """
    import pyarrow.parquet as pq

    files, destination = parquet_files(source), Path(destination)
    if destination.exists():
        raise LogError(f"{destination} exists; compacting writes a new folder. Choose another.")
    schema = pq.read_schema(files[0])
    for name in (session, step):
        if name not in schema.names:
            raise LogError(f"{files[0]} has no column {name}; it has {', '.join(schema.names)}.")
    rows = sum(pq.read_metadata(f).num_rows for f in files)
    parts = max(-(-rows // rows_per_part), 1)
    if parts > 1 or not _in_order(files, session, step):
        schema = reordered(schema)
    with atomic_folder(destination) as work:
        _scatter(files, work, parts, session, schema)
        entries = [_ordered(work, k, session, step) for k in range(parts)]
        parquet_manifest(work, schema, [e for e in entries if e is not None])
    return destination


def _in_order(files: list[Path], session: str, step: str) -> bool:
    """The rows stand by session and step already."""
    import pyarrow.parquet as pq

    before: tuple[Any, Any] | None = None
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=[session, step]):
            s, t = (batch.column(n).to_numpy(zero_copy_only=False) for n in (session, step))
            if not len(s):
                continue
            rising = (s[1:] > s[:-1]) | ((s[1:] == s[:-1]) & (t[1:] >= t[:-1]))
            if not rising.all() or (before is not None and before > (s[0], t[0])):
                return False
            before = s[-1], t[-1]
    return True


def _scatter(files: list[Path], work: Path, parts: int, session: str, schema: Any) -> None:
    """First pass: every session's rows into one bucket."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writers = [pq.ParquetWriter(work / f"bucket-{k:05d}", schema) for k in range(parts)]
    try:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(BATCH):
                bucket = _bucket(batch.column(session).to_numpy(zero_copy_only=False), parts)
                for k in np.unique(bucket):
                    rows = pa.array(np.flatnonzero(bucket == k))
                    writers[k].write_table(pa.Table.from_batches([batch.take(rows)]).cast(schema))
    finally:
        for writer in writers:
            writer.close()


def _ordered(work: Path, k: int, session: str, step: str) -> dict[str, Any] | None:
    """Second pass: one bucket in order."""
    import pyarrow.parquet as pq

    bucket = work / f"bucket-{k:05d}"
    table: pa.Table = pq.read_table(bucket)
    bucket.unlink()
    if table.num_rows == 0:
        return None
    name = f"part-{k:05d}.parquet"
    ordered = table.sort_by([(session, "ascending"), (step, "ascending")])
    pq.write_table(ordered, work / name, row_group_size=ROW_GROUP, compression="zstd")
    return {"file": name, "rows": table.num_rows}


def _bucket(session: np.ndarray[Any, np.dtype[Any]], parts: int) -> np.ndarray[Any, np.dtype[Any]]:
    """A session's bucket, from its id alone."""
    if session.dtype.kind not in "iu":
        ids, inverse = np.unique(session.astype("U"), return_inverse=True)
        import zlib

        return np.array([zlib.crc32(s.encode()) for s in ids.tolist()], np.uint64)[inverse] % parts
    mixed = session.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((mixed >> np.uint64(32)) % np.uint64(parts), np.int64)
