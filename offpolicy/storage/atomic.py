"""Files and folders that are whole or not there: written aside, then renamed into place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offpolicy.storage.claims import claimed, put_in_place


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, in an existing or new folder, whose file takes the place of `path`."""
    path = _made_for(path)
    with claimed(path, folder=False) as fresh:
        yield fresh
        fresh.replace(path)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as fresh:
        fresh.write_bytes(content)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path`; after an error all is as before.

    The exchange is one step where the system has one. Where it has none, `claims.standing` says
    where the old folder is when a writer was killed in between.
    """
    path = _made_for(path)
    with claimed(path, folder=True) as fresh:
        yield fresh
        put_in_place(fresh, path)


def _made_for(path: str | os.PathLike[str]) -> Path:
    """Where a link leads to, absolute, in a folder that exists."""
    path = Path(path).absolute()
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
