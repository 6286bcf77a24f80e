"""The pointer: which version serves, and the last change of it; and the changes before.

The pointer is replaced first and its change is then written into the history. One that a killed
process did not write there still stands in the pointer, and is written before the next change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from offpolicy.storage.sealed import DIGEST, sealed, unsealed
from serving.arms import Split
from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    many,
    maybe,
    number,
    of,
    parse_json,
    text,
    to_json,
    whole,
)
from serving.registry.durable import append_line, whole_lines, write_durably

T = TypeVar("T", "Pointer", "Change")

POINTER, HISTORY = "pointer.json", "history.jsonl"


class PointerMovedError(ValueError):
    """Somebody changed the pointer meanwhile: what was to be done was decided on an older one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who made which version live, or changed its arms, when and why."""

    revision: int = of(whole)  # of the pointer, from 1 without a gap
    time: float = of(number)  # s since 1970
    action: str = of(text)  # promote, rollback, canary, weigh, stop_canary, shadow, or fallback:
    # other items that may always be shown
    before: str | None = of(maybe(text))  # the version that was live
    after: str | None = of(maybe(text))  # the version that is live since
    by: str = of(text)
    why: str | None = of(maybe(text), None)
    canary: str | None = of(maybe(text), None)  # since then, as the next three
    weight: float | None = of(maybe(number), None)
    rollout: str | None = of(maybe(text), None)
    shadow: str | None = of(maybe(text), None)

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        """One line."""
        return to_json(self, "change")


def _fields(name: str, value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise ContractError(f"{name} is of type {type(value).__name__}; it must be an object")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What a registry serves. Where nothing was promoted yet, nothing is live."""

    revision: int = of(whole, 0)  # counts changes
    live: str | None = of(maybe(text), None)  # a version
    previous: str | None = of(maybe(text), None)  # what a rollback brings back
    fallback: tuple[str, ...] = of(many(text), ())  # items that may always be shown
    canary: str | None = of(maybe(text), None)  # a version that some users get
    shadow: str | None = of(maybe(text), None)  # a version that is asked and not shown
    weight: float | None = of(maybe(number), None)  # share of users that get the canary
    salt: str | None = of(maybe(text), None)  # of the hash that says which users these are
    rollout: str | None = of(maybe(text), None)  # its id, in the decisions of both arms
    changed: Mapping[str, Any] | None = of(_fields, None)  # the last Change

    def __post_init__(self) -> None:
        check(self)
        if self.canary is None:
            return
        for name in ("weight", "salt", "rollout"):
            if getattr(self, name) is None:
                raise ContractError(f"{name} is null: a canary must have it", field=name)
        try:
            _ = self.split
        except ValueError as error:
            raise ContractError(str(error), field="weight") from None

    @property
    def split(self) -> Split | None:
        """Which users get the canary; None where there is none."""
        if self.canary is None:
            return None
        assert self.weight is not None
        assert self.salt is not None
        assert self.rollout is not None
        return Split(weight=self.weight, salt=self.salt, rollout=self.rollout)

    @property
    def change(self) -> Change | None:
        """The change that made the pointer what it is. Raises ContractError where it is none."""
        return None if self.changed is None else from_json(Change, self.changed, "change")

    def to_json(self) -> bytes:
        """The file's content."""
        return to_json(self, "pointer")


def read_pointer(folder: Path) -> Pointer:
    """The registry's pointer. Raises ContractError, which names the file and the field."""
    file = folder / POINTER
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Pointer()
    return parse_pointer(content, file)


def parse_pointer(content: bytes, file: Path) -> Pointer:
    """A pointer of a file's content."""
    try:
        pointer = _read(Pointer, content, "pointer", file)
        _ = pointer.change
    except ContractError as error:
        raise ContractError(
            f"{file} is damaged: {error}. The versions are whole: delete the file and promote one"
        ) from None
    return pointer


def write_pointer(folder: Path, pointer: Pointer) -> None:
    """Replace the pointer, and write its change into the history; the last one's first, where it
    is missing there. For the holder of the registry's lock."""
    _complete(folder, read_pointer(folder))
    write_durably(folder / POINTER, _kept(pointer.to_json()) + b"\n")
    _complete(folder, pointer)


def read_history(folder: Path) -> list[Change]:
    """All changes, the oldest first; a piece of a line at the end is left out.

    Raises ContractError, which names the file and the line, for one that is damaged or not there.
    """
    changes = _written(folder)
    last = read_pointer(folder).change
    if last is not None and (not changes or changes[-1].revision < last.revision):
        changes.append(last)  # its writer was killed
    for before, after in pairwise(changes):
        if after.revision != before.revision + 1:
            raise ContractError(
                f"{folder / HISTORY} is damaged: after change {before.revision} comes "
                f"{after.revision}. Take it from a copy, or move the file away: the pointer and "
                "the versions do not need it"
            )
    return changes


def next_revision(folder: Path, pointer: Pointer) -> int:
    """Of the next change: numbers go on where a pointer was deleted, too."""
    return 1 + max([pointer.revision, *(one.revision for one in _written(folder, last=True))])


def _complete(folder: Path, pointer: Pointer) -> None:
    change, written = pointer.change, _written(folder, last=True)
    if change is not None and (not written or written[0].revision < change.revision):
        append_line(folder / HISTORY, _kept(change.to_json()))


def _written(folder: Path, *, last: bool = False) -> list[Change]:
    """What the history's file holds, or its last line alone."""
    file = folder / HISTORY
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    changes = []
    lines = [*enumerate(whole_lines(content).splitlines(), 1)]
    for number_of, line in lines[-1:] if last else lines:
        try:
            changes.append(_read(Change, line, "change", file))
        except ContractError as error:
            raise ContractError(
                f"{file} is damaged at line {number_of}: {error}. Move the file away: the pointer "
                "and the versions do not need it"
            ) from None
    return changes


def _kept(content: bytes) -> bytes:
    """A message with a digest of it, as it stands in a file."""
    return json.dumps(sealed(json.loads(content)), separators=(",", ":")).encode()


def _read(cls: type[T], content: bytes, kind: str, file: Path) -> T:
    """What `_kept` was given. Raises ContractError, for an altered one, too."""
    given = parse_json(content)
    message = from_json(cls, {k: v for k, v in given.items() if k != DIGEST}, kind)
    try:
        unsealed(given, file, tuple(given))
    except ValueError as error:
        raise ContractError(str(error)) from None
    return message


def as_kept(change: Change) -> dict[str, Any]:
    """What a pointer keeps of its change."""
    known: dict[str, Any] = json.loads(change.to_json())
    return known
