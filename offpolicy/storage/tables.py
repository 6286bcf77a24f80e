"""Tables on disk, as commands take them: Parquet, CSV, JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

KEY = b"longplay"  # of a log's own metadata
FORMATS = (".parquet", ".pq", ".csv", ".jsonl", ".ndjson", ".json")
TEXT = FORMATS[2:]
TEXT_IDS = ("session", "user")  # columns of a log that text formats are read as text


def is_log(path: Path) -> bool:
    """Whether it is a Parquet file that `write_log` wrote."""
    import pyarrow as pa
    import pyarrow.parquet as papq

    if path.suffix not in (".parquet", ".pq") or not path.is_file():
        return False
    try:
        return KEY in (papq.read_schema(path).metadata or {})
    except pa.ArrowException:
        return True  # a damaged file: who reads it says so


def read_table(path: Path, *, text: Sequence[str] = ()) -> Any:
    """An Arrow table of one file, or of all Parquet, CSV or JSON-lines files of a folder by name.
    Columns named in `text` are read as text: ids such as 007 stay what they are.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: the file is damaged, or of another format.
    """
    import pyarrow as pa

    if path.is_dir():
        files = [f for f in sorted(path.iterdir()) if f.suffix in FORMATS[:-1]]
        if not files:
            raise FileNotFoundError(f"{path} holds no {', '.join(FORMATS[:-1])} files")
        parts = [read_table(f, text=text) for f in files]
        return pa.concat_tables(parts, promote_options="permissive")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    if path.suffix not in FORMATS:
        raise ValueError(f"{path} is no table; tables are {', '.join(FORMATS)}")
    try:
        return _read_file(path, text)
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]} ({first})") from error


def _read_file(path: Path, text: Sequence[str]) -> Any:
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.json as pajson
    import pyarrow.parquet as papq

    if path.suffix in (".parquet", ".pq"):
        return papq.read_table(path)
    types = {name: pa.string() for name in text}
    if path.suffix == ".csv":
        options = pacsv.ConvertOptions(column_types=types, strings_can_be_null=True)
        return pacsv.read_csv(path, convert_options=options)
    table = pajson.read_json(path)
    for name in types:
        if name in table.column_names:
            at = table.column_names.index(name)
            table = table.set_column(at, name, table.column(name).cast(pa.string()))
    return table
