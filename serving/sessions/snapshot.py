"""What sessions in memory know, in a file: a restart then reads only the events after it.

A zip file of parts, each the users of one moment: arrays in safetensors, and texts in JSON. Every
user carries the number of the event up to which the file knows of them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    label,
    named,
    of,
    text,
    to_json,
    whole,
)
from serving.sessions.memory import User, UserSession

HEADER = "header.json"
ARRAYS, TEXTS = ".safetensors", ".texts.json"  # of a part
NO_TIME = np.nan  # of a history that never changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Of which events the file is."""

    writer: str = of(text)  # of the event log
    first: int = of(whole)  # all that events up to this number say is in it
    meaning: str = of(label)  # fingerprint of what numbers of items and keys of users mean
    others: Mapping[str, int] = of(named(whole))  # of other writers, their last events in it

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A file that was read."""

    header: Header
    users: dict[str, User]  # the one longest unseen first
    numbers: dict[str, int] = field(default_factory=dict)  # of each user, the last event known

    def after(self) -> dict[str, int]:
        """The number of each writer's last event that is in it for all users."""
        return {**self.header.others, self.header.writer: self.header.first}

    def holds(self, writer: str, user: str, number: int) -> bool:
        """Whether what an event says of a user is in it."""
        if writer != self.header.writer:
            return number <= self.header.others.get(writer, -1)
        return number <= self.numbers.get(user, self.header.first)


def write_part(file: zipfile.ZipFile, nth: int, number: int, encoded: tuple[bytes, bytes]) -> None:
    """Put `encode`d users, as they were after an event, into a file."""
    arrays, texts = encoded
    name = f"{nth:06d}-{number}"
    file.writestr(name + ARRAYS, arrays)
    file.writestr(name + TEXTS, texts)


def write_header(file: zipfile.ZipFile, header: Header) -> None:
    """The last thing to write: without it the file is none."""
    file.writestr(HEADER, to_json(header, "header"))


def encode(users: Mapping[str, User]) -> tuple[bytes, bytes]:
    """Arrays and texts of users."""
    from safetensors.numpy import save

    every = [*users.values()]
    sessions = [one for user in every for one in user.sessions.values()]
    arrays: dict[str, NDArray[Any]] = {
        "items": np.concatenate([np.zeros(0, np.int32), *(user.items for user in every)]),
        "responses": np.concatenate([user.responses for user in every]),
        "length": np.array([len(user.items) for user in every], np.int64),
        "version": np.array([user.version for user in every], np.int64),
        "touched": np.array([user.touched for user in every], np.float64),
        "updated": np.array(
            [NO_TIME if user.updated is None else user.updated for user in every], np.float64
        ),
        "sessions": np.array([len(user.sessions) for user in every], np.int64),
        "taken": np.array([len(user.taken) for user in every], np.int64),
        "last": np.array([one.last for one in sessions], np.float64),
        "steps": np.array([one.steps for one in sessions], np.int64),
        "requests": np.array([len(one.of_request) for one in sessions], np.int64),
        "step": np.array([step for one in sessions for step in one.of_request.values()], np.int64),
    }
    texts = {
        "users": [*users],
        "sessions": [key for user in every for key in user.sessions],
        "began": [one.began for one in sessions],
        "requests": [request for one in sessions for request in one.of_request],
        "taken": [decision for user in every for decision in user.taken],
    }
    return save(arrays), json.dumps(texts).encode()


def decode(arrays: bytes, texts: bytes) -> dict[str, User]:
    """The users of a part. Raises ContractError for one that is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        a, t = load(arrays), json.loads(texts)
        _check(a, t)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ContractError(f"a part is damaged: {error}") from None
    ends = np.cumsum(a["length"]).tolist()
    requests = _of_each(zip(t["requests"], a["step"].tolist(), strict=True), a["requests"])
    opened = zip(t["sessions"], t["began"], a["last"].tolist(), a["steps"].tolist(), requests,
                 strict=True)  # fmt: skip
    sessions = _of_each(opened, a["sessions"])
    taken = _of_each(iter(t["taken"]), a["taken"])
    columns = (a[name].tolist() for name in ("length", "version", "touched", "updated"))
    rows = zip(t["users"], ends, *columns, sessions, taken, strict=True)
    return {
        name: User(
            a["items"][end - n : end].copy(),
            a["responses"][end - n : end].copy(),
            version,
            touched,
            None if updated != updated else updated,
            {key: UserSession(began, last, n_steps, dict(of))
             for key, began, last, n_steps, of in own},
            dict.fromkeys(decisions),
        )
        for name, end, n, version, touched, updated, own, decisions in rows
    }  # fmt: skip


def _of_each(every: Iterator[Any], counts: NDArray[np.int64]) -> list[list[Any]]:
    return [[*islice(every, n)] for n in counts.tolist()]


def _check(a: Mapping[str, NDArray[Any]], t: Mapping[str, Sequence[Any]]) -> None:
    """Raise ValueError where lengths do not fit."""
    n, s = len(t["users"]), len(t["sessions"])
    for name in ("length", "version", "touched", "updated", "sessions", "taken"):
        _check_length(name, a[name], n)
    for name in ("last", "steps", "requests"):
        _check_length(name, a[name], s)
    _check_length("began", t["began"], s)
    for name, whole_ in (("length", a["items"]), ("length", a["responses"]),
                         ("sessions", t["sessions"]), ("taken", t["taken"]),
                         ("requests", t["requests"]), ("requests", a["step"])):  # fmt: skip
        if (a[name] < 0).any():
            raise ValueError(f"{name} has a number below 0")
        _check_length(f"what {name} counts", whole_, int(a[name].sum()))
    if not all(isinstance(one, str) for one in chain.from_iterable(t.values())):
        raise ValueError("a text is none")


def _check_length(name: str, found: Any, n: int) -> None:
    if len(found) != n:
        raise ValueError(f"{name} has {len(found)} entries and not {n}")


def read_snapshot(path: Path) -> Snapshot | None:
    """None where there is none. Raises ContractError, which names the file, for a damaged one."""
    users: dict[str, User] = {}
    numbers: dict[str, int] = {}
    try:
        with zipfile.ZipFile(path) as file:
            header = from_json(Header, file.read(HEADER), "header")
            names = (one.removesuffix(TEXTS) for one in file.namelist() if one != HEADER)
            for name in sorted({one.removesuffix(ARRAYS) for one in names}):
                part = decode(file.read(name + ARRAYS), file.read(name + TEXTS))
                users |= part
                numbers |= dict.fromkeys(part, int(name.partition("-")[2]))
    except FileNotFoundError:
        return None
    except (ContractError, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ContractError(f"{path} is damaged: {error}") from None
    return Snapshot(header, users, numbers)
