"""The catalogue at the door: the caller's item ids and the policy's item numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from serving.contracts.fields import ContractError, text


class Catalogue:
    """Item names, in the order of the policy's items 0, 1, 2 …

    Raises ValueError for an empty catalogue and for a name that stands there twice.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(text(f"item {i}", name) for i, name in enumerate(names))
        self.number = {name: i for i, name in enumerate(self.names)}
        if not self.names:
            raise ValueError("the catalogue has no items")
        if len(self.number) < len(self.names):
            twice = next(n for i, n in enumerate(self.names) if self.number[n] != i)
            raise ValueError(f"the catalogue names {twice!r} twice; give each item its own name")

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Catalogue:
        """A text file with one name a line, or a .json file: a list of names, or an object that
        gives each name its number; UTF-8.

        Raises FileNotFoundError where there is no such file, and ValueError, which names the file,
        where it is neither.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is no catalogue file: give a text file with one item id a line, or JSON"
            )
        try:
            content = path.read_text(encoding="utf-8-sig")
            if path.suffix == ".json":
                return cls(_in_order(json.loads(content)))
            lines = content.split("\n")  # alone: names may hold what else ends lines
            return cls(lines if lines[-1] else lines[:-1])
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text in UTF-8: write it anew as UTF-8") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def numbers(self, field: str, names: Iterable[str]) -> list[int]:
        """Numbers of items; ContractError names those that the catalogue does not have."""
        names = tuple(names)
        try:
            return [self.number[name] for name in names]
        except KeyError:
            unknown = [name for name in names if name not in self.number]
        some = ", ".join(map(repr, unknown[:5])) + (" …" if len(unknown) > 5 else "")
        raise ContractError(
            f"{field} has {len(unknown)} items not in the catalogue: {some}", field=field
        )

    def known(self, names: Iterable[str]) -> list[int]:
        """Numbers of those items that the catalogue has."""
        numbers = map(self.number.get, names)
        return [number for number in numbers if number is not None]


def _in_order(content: Any) -> list[str]:
    if isinstance(content, list):
        return content
    if not isinstance(content, Mapping):
        raise ValueError("a catalogue is a list of names, or an object of names and numbers")
    if sorted(content.values(), key=repr) != sorted(range(len(content)), key=repr):
        raise ValueError(f"the numbers of {len(content)} items must be 0 to {len(content) - 1}")
    return sorted(content, key=content.__getitem__)
