"""Logs on disk: a folder of Parquet parts with a manifest, or one file. Writes are atomic."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.storage.appending import check_fits
from offpolicy.storage.arrow import log_from_tables, read_metadata, table_from_log
from offpolicy.storage.atomic import atomic_file, atomic_folder
from offpolicy.storage.manifest import (
    MANIFEST,
    Part,
    announce,
    damage,
    file_sha256,
    log_parts,
    one_writer,
    ordered_hash,
    read_manifest,
    read_table,
    unreadable,
    verify_part,
    write_manifest,
)
from offpolicy.storage.tables import KEY

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1 << 18  # rows per Parquet row group: what a streaming reader holds at a time


def write_log(log: LoggedDataset, path: str | os.PathLike[str]) -> Path:
    """Write `log` to a folder (one part and a manifest), or to one file if `path` ends in .parquet.

    A reader sees the old log or the new one, and nothing half-written is left behind. A Longplay
    log at `path` is replaced; what else stands in its folder stays there.

    Raises:
        LogError: something else stands at `path`.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        _check_replaceable_file(path)
        write_table(table_from_log(log), path)
        return path
    if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
        _check_replaceable_folder(path)
        with one_writer(path) as manifest:
            name = manifest.next_name()
            announce(path, [name, *(part["file"] for part in manifest.parts)])
            write_manifest(path, log.n_items, (_write_part(log, table_from_log(log), path, name),))
        return path
    with atomic_folder(path) as fresh:
        entry = _write_part(log, table_from_log(log), fresh, "part-00000.parquet")
        write_manifest(fresh, log.n_items, (entry,))
    return path


def append_log(log: LoggedDataset, path: str | os.PathLike[str]) -> Path:
    """Add `log` as one more part of the folder at `path`; the manifest is replaced last.

    Session ids keep their meaning across parts: a session may go on in the next part, unless the
    log has prior histories. Of two writers one waits for the other, and both parts stay.

    Raises:
        LogError: the folder is no log, or holds another catalogue, other columns, or sessions that
            the new part does not go on with; the log is left as it was.
    """
    path = Path(path)
    read_manifest(path)
    with one_writer(path) as manifest:
        if manifest.n_items != log.n_items:
            raise LogError(
                f"{path} is a log over {manifest.n_items} items, the new part over {log.n_items}; "
                "a log has one catalogue. Write the part to a folder of its own."
            )
        table, name = table_from_log(log), manifest.next_name()
        check_fits(log, table, path, log_parts(path))
        announce(path, [name])
        entry = _write_part(log, table, path, name)
        write_manifest(path, log.n_items, (*manifest.parts, entry))
    return path


def read_log(
    source: str | os.PathLike[str] | Any,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    n_items: int | None = None,
    item_names: Sequence[str] | None = None,
    verify: bool = True,
) -> LoggedDataset:
    """A log from what `write_log` wrote, or from any table of decisions.

    `source` is a path (a Longplay log, a Parquet file or folder, a CSV or JSON-lines file) or a
    pandas or polars frame, an Arrow table, a DuckDB relation, a mapping of arrays. `columns`,
    `n_items` and `item_names` say what foreign columns mean; see `foreign.log_from_table`. Parts
    are compared with the sha256 of their manifest, unless `verify` is False; checksums of pages are
    always verified.

    Raises:
        LogError: nothing is there, or it is foreign, half-written, damaged or breaks a rule.
    """
    import pyarrow as pa

    from offpolicy.storage.foreign import log_from_table
    from offpolicy.storage.tables import TEXT, TEXT_IDS
    from offpolicy.storage.tables import read_table as read_tables

    if not isinstance(source, str | os.PathLike):
        return log_from_table(source, columns=columns, n_items=n_items, item_names=item_names)
    path = Path(source)
    if path.suffix in TEXT and path.is_file():
        named = {} if columns is None else columns
        ids = [x for n in TEXT_IDS if isinstance(x := named.get(n, n), str)]
        table = read_tables(path, text=ids)
        return log_from_table(table, columns=columns, n_items=n_items, item_names=item_names)
    foreign = not (columns is None and n_items is None and item_names is None)
    tables = _tables(path, parquet_parts if foreign else log_parts, verify)
    if foreign:
        table = pa.concat_tables(tables)
        return log_from_table(table, columns=columns, n_items=n_items, item_names=item_names)
    return log_from_tables(tables, str(path))


def _tables(path: Path, parts: Callable[[Path], list[Part]], verify: bool) -> list[pa.Table]:
    """The parts of a log; once more where a writer replaced the log while it was read."""
    while True:
        manifest = path / MANIFEST
        before = manifest.read_bytes() if manifest.is_file() else b""
        try:
            tables = []
            for part in parts(path):
                if verify:
                    verify_part(part)
                tables.append(read_table(part.path))
        except LogError:
            if not manifest.is_file() or manifest.read_bytes() == before:
                raise
        else:
            return tables


def parquet_parts(path: str | os.PathLike[str]) -> list[Part]:
    """Files of a log, or of any folder of Parquet, by name.

    Raises:
        LogError: there are none, or the log is not whole.
    """
    path = Path(path)
    if path.is_dir() and not (path / MANIFEST).exists():
        files = sorted(path.glob("*.parquet"))
        if not files:
            raise LogError(f"{path} holds no .parquet files; check the path.")
        return [Part(file) for file in files]
    return log_parts(path)


def parquet_manifest(folder: Path, schema: pa.Schema, parts: list[dict[str, Any]]) -> None:
    """Put a manifest beside parts that carry a log's schema; foreign parts need none."""
    metadata = (schema.metadata or {}).get(KEY)
    if metadata is not None:
        write_manifest(folder, json.loads(metadata)["n_items"], tuple(parts))


def write_table(table: pa.Table, path: Path) -> str:
    """Write one Parquet file, its pages with checksums, whole or not at all; its sha256."""
    import pyarrow.parquet as pq

    with atomic_file(path) as fresh:
        pq.write_table(
            table, fresh, row_group_size=ROW_GROUP, compression="zstd", write_page_checksum=True
        )
        return file_sha256(fresh)


def _write_part(log: LoggedDataset, table: pa.Table, folder: Path, name: str) -> dict[str, Any]:
    return {
        "file": name,
        "rows": len(log),
        "sha256": ordered_hash(log),
        "file_sha256": write_table(table, folder / name),
        "sessions": [int(log.session.min()), int(log.session.max())],
    }


def _check_replaceable_folder(path: Path) -> None:
    try:
        read_manifest(path)
    except LogError as error:
        raise LogError(
            f"{path} exists and is no Longplay log; it is not overwritten. Move it. ({error})"
        ) from error


def _check_replaceable_file(path: Path) -> None:
    import pyarrow.parquet as pq

    if not path.exists():
        return
    try:
        read_metadata(pq.read_schema(path), str(path))
    except LogError as error:
        raise LogError(f"{path} is not overwritten; move it first. ({error})") from error
    except damage() as error:
        raise LogError(
            f"{path} is not overwritten; move it first. ({unreadable(path, error)})"
        ) from error
