"""The manifest of a log's folder: which parts it has, and what they were when they were written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.storage.arrow import SCHEMA_VERSION, log_from_tables, read_metadata
from offpolicy.storage.atomic import write_text
from offpolicy.storage.claims import held, standing, sweep
from offpolicy.storage.sealed import sealed, unsealed

MANIFEST = "manifest.json"
KEYS = ("schema_version", "n_items", "parts")
JOURNAL = ".writing.json"  # names of parts that come or go while the manifest is replaced
NAME = re.compile(r"part-(\d{5,})\.parquet")


class Part(NamedTuple):
    """A Parquet file, and what its manifest says of it."""

    path: Path
    file_sha256: str | None = None  # of the file's bytes
    sha256: str | None = None  # of the log in it: `ordered_hash`; once, `LoggedDataset.hash`
    sessions: tuple[int, int] | None = None  # smallest and largest session id


class Manifest(NamedTuple):
    """What a log's folder says of itself."""

    n_items: int
    parts: tuple[Mapping[str, Any], ...]  # file, rows, and what else is known of each part

    def next_name(self) -> str:
        """The name of one more part."""
        taken = [int(m[1]) for p in self.parts if (m := NAME.fullmatch(p["file"]))]
        return f"part-{max(taken, default=-1) + 1:05d}.parquet"


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder.

    Raises:
        LogError: there is none, it is another program's, or damaged.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise LogError(
            f"{folder} has no {MANIFEST}: it is half-written or no Longplay log. Write logs with "
            "write_log, or build one with LoggedDataset.from_columns."
        )
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        version, n_items, parts = said["schema_version"], said["n_items"], said["parts"]
        for part in parts:
            if Path(part["file"]).name != part["file"] or not isinstance(part["rows"], int):
                raise ValueError(f"a part {part['file']!r} of {part['rows']!r} rows")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LogError(f"{file} is not a log's manifest ({error}); copy it again.") from error
    if version != SCHEMA_VERSION:
        raise LogError(
            f"{folder} has log schema {version}, this version reads {SCHEMA_VERSION}. "
            "Write the log again with this version."
        )
    try:
        unsealed(said, file, KEYS)
    except ValueError as error:
        raise LogError(str(error)) from error
    return Manifest(n_items, tuple(parts))


def write_manifest(folder: Path, n_items: int, parts: tuple[Mapping[str, Any], ...]) -> None:
    """Replace the manifest: from now on these are the parts."""
    said = {"schema_version": SCHEMA_VERSION, "n_items": n_items, "parts": parts}
    text = json.dumps(sealed(said), indent=1)
    write_text(folder / MANIFEST, text + "\n")


@contextmanager
def one_writer(folder: Path) -> Iterator[Manifest]:
    """The manifest, while no other writer changes the log: a second one waits for the first.

    Parts of a writer that was killed, or that failed here, are removed.
    """
    with held(folder, wait=True):
        sweep(folder)
        _remove_unlisted(folder)
        try:
            yield read_manifest(folder)
        finally:
            _remove_unlisted(folder)


def announce(folder: Path, names: list[str]) -> None:
    """Note which parts come or go: those that no manifest lists in the end are removed."""
    write_text(folder / JOURNAL, json.dumps(names))


def _remove_unlisted(folder: Path) -> None:
    journal = folder / JOURNAL
    if journal.is_file():
        listed = {part["file"] for part in read_manifest(folder).parts}
        for name in json.loads(journal.read_text(encoding="utf-8")):
            if NAME.fullmatch(name) and name not in listed:
                (folder / name).unlink(missing_ok=True)
        journal.unlink()


def log_parts(path: Path) -> list[Part]:
    """The Parquet files of a log, in order, after checking that each is there and whole.

    Raises:
        LogError: there is no log, or a part is missing, cut, or another log's.
    """
    path = standing(path)
    if not path.exists():
        raise LogError(f"there is no log at {path}; check the path, or write one with write_log.")
    if path.is_file():
        return [Part(path)]
    manifest = read_manifest(path)
    return [_part(path, manifest.n_items, entry) for entry in manifest.parts]


def _part(folder: Path, n_items: int, entry: Mapping[str, Any]) -> Part:
    import pyarrow.parquet as pq

    part = folder / entry["file"]
    if not part.is_file():
        raise LogError(f"{folder} misses its part {part.name}; copy the whole folder again.")
    try:
        footer = pq.read_metadata(part)
        about = read_metadata(footer.schema.to_arrow_schema(), str(part))
    except LogError:
        raise
    except damage() as error:
        raise unreadable(part, error) from error
    if footer.num_rows != entry["rows"]:
        raise LogError(
            f"{part} holds {footer.num_rows} rows, its manifest says {entry['rows']}; the copy is "
            "not whole. Copy the folder again."
        )
    if about["n_items"] != n_items:
        raise LogError(
            f"{part} is a log over {about['n_items']} items, its manifest says {n_items}; one of "
            "them is damaged or another log's. Copy the folder again."
        )
    ids = entry.get("sessions")
    return Part(part, entry.get("file_sha256"), entry.get("sha256"), ids and (ids[0], ids[1]))


def verify_part(part: Part) -> None:
    """Compare a file with the hashes that were written down beside it, if any were.

    A file that holds the same decisions and was written anew, in another order or by another
    program, is as good as the first one.

    Raises:
        LogError: it holds something else than was written.
    """
    found = file_sha256(part.path) if part.file_sha256 is not None else None
    if part.file_sha256 == found and (found is not None or part.sha256 is None):
        return
    what = f"its manifest was written for a file of sha256 {part.file_sha256 or part.sha256}"
    fix = "Copy it again from a good copy; verify=False reads it as it is."
    if part.sha256 is None:
        raise LogError(f"{part.path} was damaged or replaced: {what}. {fix}")
    try:
        log = log_from_tables([read_table(part.path)], str(part.path))
    except LogError as error:
        raise LogError(f"{part.path} is damaged: {what} ({error}). {fix}") from error
    if part.sha256 not in (log.hash(), ordered_hash(log)):
        raise LogError(f"{part.path} holds other decisions than were written: {what}. {fix}")


def ordered_hash(log: LoggedDataset) -> str:
    """`LoggedDataset.hash` of the rows by session and step: the same whatever their order."""
    order = np.lexsort((log.step, log.session))
    return (log if bool((np.diff(order) == 1).all()) else log.take(order)).hash()


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_table(path: Path) -> Any:
    """One Parquet file as an Arrow table, its page checksums verified.

    Raises:
        LogError: it cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
        _ = table.column_names  # which a damaged footer may spell in no letters
        return table
    except damage() as error:
        raise unreadable(path, error) from error


def damage() -> tuple[type[Exception], ...]:
    """What pyarrow raises about files that are cut, damaged or foreign."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError)


def unreadable(part: Path, error: Exception) -> LogError:
    """The error of a damaged file."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return LogError(
        f"{part} cannot be read as Parquet ({said}); it is half-written, damaged or foreign. Copy "
        "it again, or build a log with LoggedDataset.from_columns."
    )
