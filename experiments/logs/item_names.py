"""Logs whose items are known by names: which name is which id, and the same ids every time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from experiments.data.mapping import column_names
from experiments.logs.log_files import open_log
from offpolicy import LoggedDataset
from offpolicy.storage.foreign import log_from_table
from offpolicy.storage.manifest import MANIFEST
from offpolicy.storage.tables import FORMATS, TEXT_IDS, is_log, read_table
from offpolicy.storage.vocabularies import load_vocabulary
from offpolicy.vocabulary import Vocabulary
from policies.saving import checkpoint
from policies.saving.checkpoint import saved_in

OF_LOG = "log"
NAMES = "items.txt"  # in the folder that holds a policy


def open_named_log(
    path: Path,
    columns: Sequence[str],
    n_items: int | None,
    max_steps: int | None = None,
    items: str | Vocabulary | None = None,
) -> LoggedDataset:
    """As `open_log`; items of a foreign table may be names.

    items: a file of the items' names, one a line in the order of their ids, or "log": the names
        that the table holds, sorted, which is also what text stands for by default; or the names
        of a policy's items, which text stands for then.

    Raises:
        ValueError: the table holds an item that the file does not name.
    """
    given = _names_of(items)
    if (path / MANIFEST).exists() or is_log(path) or not (path.is_dir() or path.suffix in FORMATS):
        log = open_log(path, columns, n_items, max_steps)
        if given is not None and "item" in log.names:
            _check_same(item_names(log), given.names, path, str(items))
        return log
    named = column_names(columns)
    table = read_table(path, text=[str(named.get(name, name)) for name in TEXT_IDS])
    log = log_from_table(
        table,
        columns=named,
        n_items=n_items,
        item_names=None if given is None else given.names,
        numbers_are_names=isinstance(items, str),
    )
    return log if max_steps is None else log.with_max_steps(max_steps)


def items_beside(
    policies: Iterable[str | Path | None], items: str | None
) -> str | Vocabulary | None:
    """Where the items' names are: `items`, the items.txt that `longplay improve` wrote beside
    those of `policies` that are folders, or the names that these were saved with.

    Raises:
        ValueError: two of them differ.
    """
    folders = [saved_in(Path(p)) for p in policies if p is not None and Path(p).is_dir()]
    if items is not None:
        return items
    known: list[tuple[Path, Vocabulary]] = []
    for folder in folders:
        beside = folder.parent / NAMES
        names = load_vocabulary(beside) if beside.is_file() else checkpoint.item_names(folder)
        if names is not None:
            known.append((beside if beside.is_file() else folder, names))
    if not known:
        return None
    first, own = known[0]
    for other, names in known[1:]:
        if names.names != own.names:
            raise ValueError(
                f"{first} and {other} differ, so that ids of these policies mean other items: "
                "judge them one by one"
            )
    return str(first) if first.name == NAMES else own


def item_names(log: LoggedDataset) -> list[str]:
    """Of the items 0..A-1, numbers where they have none."""
    return log.names_of("item", np.arange(log.n_items))


def _names_of(items: str | Vocabulary | None) -> Vocabulary | None:
    """The names that are given: those of a file, or as they are."""
    if isinstance(items, str):
        return None if items == OF_LOG else load_vocabulary(items)
    return items


def _check_same(own: Sequence[str], given: Sequence[str], path: Path, items: str) -> None:
    """Raise ValueError where a log's ids mean other items than a file of names says."""
    pairs = enumerate(zip(own, given, strict=False))
    other = next((f"{i} is {a!r}, not {b!r}" for i, (a, b) in pairs if a != b), "")
    if other:
        raise ValueError(
            f"in {path} item {other} as in {items}: the policy's ids mean other items. Write the "
            "log with the names in the order of that file"
        )
