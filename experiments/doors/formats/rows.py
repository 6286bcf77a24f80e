"""What several formats share: sessions out of flat rows, and interactions out of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.data.datasets import Interactions
from offpolicy.storage.instants import instants
from offpolicy.vocabulary import Vocabulary, distinct_names
from policies.encoders.data.sequences import Sequences


def steps_of(session: NDArray[Any]) -> NDArray[np.int32]:
    """(N,) how many rows of the same session stand above each row."""
    _, code = np.unique(session, return_inverse=True)
    order = np.argsort(code, kind="stable")
    starts = np.r_[0, np.cumsum(np.bincount(code))[:-1]]
    step = np.empty(len(code), np.int32)
    step[order] = np.arange(len(code)) - starts[code[order]]
    return step


def interactions_of(
    path: Path, user: ArrayLike, item: ArrayLike, time: ArrayLike, reward: ArrayLike | None = None
) -> Interactions:
    """Columns (N,) of ids, times and rewards as a data set named like its file."""
    (users, u), (items, i) = distinct_names(np.asarray(user)), distinct_names(np.asarray(item))
    sequences = Sequences.from_events(
        u, i, n_items=len(items), time=instants("time", np.asarray(time)), reward=reward
    )
    names = Vocabulary(tuple(users), "users")
    return Interactions(path.stem, sequences, Vocabulary(tuple(items)).names, users=names)


def needed(there: Any, names: tuple[str, ...], path: Path) -> None:
    """Raise ValueError where a file lacks columns that its format has."""
    lost = [name for name in names if name not in there]
    if lost:
        raise ValueError(f"{path} lacks {', '.join(lost)}; it has {', '.join(map(str, there))}")


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Where a line stands and what it holds, of every line that is not blank.

    Raises ValueError, which names the line, for one that is not JSON.
    """
    for at, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path}, line {at}"
        if line.strip():
            try:
                yield where, json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{where} is not JSON: {error}") from None


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. Raises ValueError for one that holds pickled objects."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
