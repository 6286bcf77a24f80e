"""Logs on disk: a folder of Parquet parts with a manifest, or one file. Writes are atomic."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.storage.arrow import KEY, SCHEMA_VERSION, log_from_tables, table_from_log
from offpolicy.storage.atomic import atomic_file, atomic_folder, write_text

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
ROW_GROUP = 1 << 18  # rows per Parquet row group: what a streaming reader holds at a time


def write_log(log: LoggedDataset, path: str | os.PathLike[str]) -> Path:
    """Write `log` to a folder (one part and a manifest), or to one file if `path` ends in .parquet.

    Written beside its place and renamed into it: a reader sees the old log or the new one, and
    nothing half-written is left behind. A Longplay log at `path` is replaced.

    Raises:
        LogError: something else stands at `path`.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        _write_file(table_from_log(log), path)
        return path
    if path.exists() and not (path / MANIFEST).is_file() and (path.is_file() or _any(path)):
        raise LogError(f"{path} exists and is no Longplay log; it is not overwritten. Move it.")
    with atomic_folder(path) as fresh:
        _write_manifest(fresh, log.n_items, [_write_part(log, fresh, 0)])
    return path


def append_log(log: LoggedDataset, path: str | os.PathLike[str]) -> Path:
    """Add `log` as one more part of the folder at `path`; the manifest is replaced last.

    Session ids keep their meaning across parts: a session may go on in the next part.

    Raises:
        LogError: the folder is no log, or holds another catalogue.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    if manifest["n_items"] != log.n_items:
        raise LogError(
            f"{path} is a log over {manifest['n_items']} items, the new part over {log.n_items}; "
            "a log has one catalogue. Write the part to a folder of its own."
        )
    entry = _write_part(log, path, len(manifest["parts"]))
    _write_manifest(path, log.n_items, [*manifest["parts"], entry])
    return path


def read_log(
    source: str | os.PathLike[str] | Any,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    n_items: int | None = None,
    item_names: Sequence[str] | None = None,
) -> LoggedDataset:
    """A log from what `write_log` wrote, or from any table of decisions.

    `source` is a path (a Longplay log, a Parquet file or folder) or a pandas or polars frame, an
    Arrow table, a DuckDB relation, a mapping of arrays. `columns`, `n_items` and `item_names` say
    what foreign columns mean; see `foreign.log_from_table`.

    Raises:
        LogError: nothing is there, or it is foreign, half-written or breaks a rule.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from offpolicy.storage.foreign import log_from_table

    if not isinstance(source, str | os.PathLike):
        return log_from_table(source, columns=columns, n_items=n_items, item_names=item_names)
    path = Path(source)
    foreign = not (columns is None and n_items is None and item_names is None)
    loose = foreign and path.is_dir() and not (path / MANIFEST).exists()
    tables = []
    for part in sorted(path.glob("*.parquet")) if loose else log_parts(path):
        try:
            tables.append(pq.read_table(part))
        except (pa.ArrowException, OSError) as error:
            raise unreadable(part, error) from error
    if not tables:
        raise LogError(f"{path} holds no .parquet files; check the path.")
    if foreign:
        table = pa.concat_tables(tables)
        return log_from_table(table, columns=columns, n_items=n_items, item_names=item_names)
    return log_from_tables(tables, str(path))


def log_parts(path: str | os.PathLike[str]) -> list[Path]:
    """The Parquet files of a log, in order, after checking that each is there and whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.exists():
        raise LogError(f"there is no log at {path}; check the path, or write one with write_log.")
    if path.is_file():
        return [path]
    parts = []
    for entry in _read_manifest(path)["parts"]:
        part = path / entry["file"]
        if not part.is_file():
            raise LogError(f"{path} misses its part {part.name}; copy the whole folder again.")
        try:
            rows = pq.read_metadata(part).num_rows
        except (pa.ArrowException, OSError) as error:
            raise unreadable(part, error) from error
        if rows != entry["rows"]:
            raise LogError(
                f"{part} holds {rows} rows, its manifest says {entry['rows']}; the copy is not "
                "whole. Copy the folder again."
            )
        parts.append(part)
    return parts


def unreadable(part: Path, error: Exception) -> LogError:
    """The error of a damaged file."""
    return LogError(
        f"{part} cannot be read as Parquet ({str(error).splitlines()[0]}); it is half-written or "
        "foreign. Copy it again, or build a log with LoggedDataset.from_columns."
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise LogError(
            f"{path} has no {MANIFEST}: it is half-written or no Longplay log. Write logs with "
            "write_log, or build one with LoggedDataset.from_columns."
        )
    try:
        manifest = json.loads(file.read_text())
        version, _, _ = manifest["schema_version"], manifest["n_items"], manifest["parts"]
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"{file} is not a log's manifest ({error}); copy it again.") from error
    if version != SCHEMA_VERSION:
        raise LogError(
            f"{path} has log schema {version}, this version reads {SCHEMA_VERSION}. "
            "Write the log again with this version."
        )
    return dict(manifest)


def parquet_manifest(folder: Path, schema: pa.Schema, parts: list[dict[str, Any]]) -> None:
    """Put a manifest beside parts that carry a log's schema; foreign parts need none."""
    metadata = (schema.metadata or {}).get(KEY)
    if metadata is not None:
        _write_manifest(folder, json.loads(metadata)["n_items"], parts)


def _write_part(log: LoggedDataset, folder: Path, number: int) -> dict[str, Any]:
    name = f"part-{number:05d}.parquet"
    _write_file(table_from_log(log), folder / name)
    return {"file": name, "rows": len(log), "sha256": log.hash()}


def _write_manifest(folder: Path, n_items: int, parts: list[dict[str, Any]]) -> None:
    text = json.dumps(
        {"schema_version": SCHEMA_VERSION, "n_items": n_items, "parts": parts}, indent=1
    )
    write_text(folder / MANIFEST, text + "\n")


def _write_file(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    with atomic_file(path) as fresh:
        pq.write_table(table, fresh, row_group_size=ROW_GROUP, compression="zstd")


def _any(folder: Path) -> bool:
    return next(folder.iterdir(), None) is not None
