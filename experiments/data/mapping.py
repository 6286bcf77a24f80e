"""Which column of a table is what: `ours=theirs` on a command line, or a saved YAML of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offpolicy.storage.atomic import write_text

Columns = dict[str, str | Sequence[str]]
FILES = (".yaml", ".yml", ".json")


def column_names(columns: Sequence[str]) -> Columns:
    """slate=item_id -> {"slate": "item_id"}; slate=a,b -> {"slate": ["a", "b"]}; a .yaml that
    `longplay inspect` wrote stands for all that it holds. What is named later replaces it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an entry, or the file, is written otherwise.
    """
    named: Columns = {}
    for entry in columns:
        ours, equals, theirs = entry.partition("=")
        if not equals and Path(entry).suffix in FILES:
            named |= read_mapping(Path(entry))
        elif not equals:
            raise ValueError(
                f"--columns {entry}: write ours=theirs, such as slate=item_id, or name a .yaml file"
            )
        else:
            parts = theirs.split(",")
            named[ours] = parts if len(parts) > 1 else theirs
    return named


def read_mapping(file: Path) -> Columns:
    """The columns that a YAML (or JSON) file names, at its top or under `columns`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no mapping of names to a name or a list of names.
    """
    import yaml

    if not file.is_file():
        raise FileNotFoundError(
            f"--columns {file}: there is no such file; longplay inspect FILE --out {file} writes it"
        )
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as YAML: {error}") from None
    inside = content.get("columns", content) if isinstance(content, Mapping) else None
    if not isinstance(inside, Mapping):
        raise ValueError(f"{file} names no columns: write a line `ours: theirs` for each")
    for ours, theirs in inside.items():
        several = theirs if isinstance(theirs, list) else [theirs]
        if not several or not all(isinstance(x, str) and x for x in (ours, *several)):
            raise ValueError(f"{file}: {ours}: {theirs!r} is no column's name, nor a list of them")
    return dict(inside)


def write_mapping(file: Path, columns: Mapping[str, Any], said: str) -> None:
    """A YAML of the columns under a comment of what it is."""
    import yaml

    text = yaml.safe_dump({"columns": dict(columns)}, sort_keys=False, allow_unicode=True)
    write_text(file, f"# {said}\n{text}")


def as_options(columns: Mapping[str, Any]) -> str:
    """The same as options of a command line."""
    texts = {n: t if isinstance(t, str) else ",".join(t) for n, t in columns.items()}
    return "--columns " + " ".join(f"{ours}={theirs}" for ours, theirs in texts.items())
