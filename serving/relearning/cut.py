"""A named cut of a joined log: which decisions a policy learned from, so that anybody can read
exactly these again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.storage.parquet import read_log
from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    maybe,
    number,
    of,
    text,
    to_json,
    whole,
)
from serving.registry.durable import write_durably


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The first `rows` decisions of a log that only grows. Raises ContractError."""

    name: str = of(text)
    rows: int = of(whole)
    sessions: int = of(whole)
    hash: str = of(text)  # LoggedDataset.hash() of them
    first: float | None = of(maybe(number), None)  # s, of the first decision; None = not known
    last: float | None = of(maybe(number), None)

    def __post_init__(self) -> None:
        check(self)
        if Path(self.name).name != self.name or self.name[0] == ".":
            raise ContractError(f"name is {self.name!r}; it must be a file's name", field="name")

    def to_json(self) -> bytes:
        return to_json(self, "cut")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Cut:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "cut")


def cut_of(
    log: LoggedDataset, name: str | None = None, *, time: NDArray[np.float64] | None = None
) -> Cut:
    """The cut that holds the whole of `log` as it is now; named by its hash if no name is given.

    time: (N,) s of the decisions, where they are known (`Joined.time`): a joined log has none.

    Raises ContractError for a name that is no file's name.
    """
    found = log.hash()
    times = (None, None) if time is None else (float(time.min()), float(time.max()))
    return Cut(
        name=f"cut-{found[:12]}" if name is None else name,
        rows=len(log),
        sessions=log.n_sessions,
        hash=found,
        first=times[0],
        last=times[1],
    )


def part_of(log: LoggedDataset, cut: Cut) -> LoggedDataset:
    """The decisions of the cut, of a log that has grown since.

    Raises LogError where the log no longer begins with them.
    """
    if len(log) < cut.rows:
        raise LogError(
            f"cut {cut.name} has {cut.rows:,} decisions and the log {len(log):,}: it is another "
            "log, or rows were removed. Give the log that was cut"
        )
    part = log if len(log) == cut.rows else log.take(slice(0, cut.rows))
    if part.hash() != cut.hash:
        raise LogError(
            f"the first {cut.rows:,} decisions of the log are not those of cut {cut.name} (other "
            "sha256): the log was made anew, put in another order (longplay compact), or users "
            "were forgotten. Give a copy of the log that was cut, or make a new cut"
        )
    return part


def read_part(path: str | os.PathLike[str], cut: Cut) -> LoggedDataset:
    """The decisions of the cut, of a log on disk. Raises LogError as `part_of` and `read_log`."""
    return part_of(read_log(path), cut)


def write_cut(folder: Path, cut: Cut) -> Path:
    """Keep the cut under its name, for good.

    Raises ValueError where the name is that of other decisions.
    """
    file = folder / f"{cut.name}.json"
    if file.is_file():
        before = Cut.from_json(file.read_bytes())
        if (before.rows, before.hash) != (cut.rows, cut.hash):
            raise ValueError(
                f"cut {cut.name} holds {before.rows:,} decisions ({before.hash[:12]}), not these "
                f"{cut.rows:,} ({cut.hash[:12]}): a cut never changes, give another name"
            )
        return file
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(file, cut.to_json() + b"\n")
    return file


def read_cut(folder: Path, name: str) -> Cut:
    """The cut of that name. Raises FileNotFoundError, which lists those that there are."""
    file = folder / f"{name}.json"
    if not file.is_file():
        there = ", ".join(sorted(one.stem for one in folder.glob("*.json"))) or "none"
        raise FileNotFoundError(f"no cut {name!r} in {folder}; there are {there}")
    return Cut.from_json(file.read_bytes())
