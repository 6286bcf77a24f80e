"""Real interaction data -> sequences, or a decision log where propensities were logged.

The project ships no data: every loader takes the folder that holds the files, from `root` or the
variable LONGPLAY_DATA.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from experiments.data.event_files import Events, events_of, read_events
from experiments.data.mapping import column_names
from experiments.data.open_bandit import load_open_bandit
from offpolicy.log.dataset import LoggedDataset
from offpolicy.storage.foreign import arrow_table
from offpolicy.storage.tables import FORMATS
from offpolicy.vocabulary import Vocabulary
from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import (
    Heldout,
    Split,
    development,
    global_time,
    leave_one_out,
    sessions,
)
from policies.saving.checkpoint import Catalogue

SplitName = Literal["leave-one-out", "global-time", "development", "sessions"]
Root = str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True)
class Interactions:
    """A data set's histories and what is known of its items."""

    name: str
    sequences: Sequences
    item_names: tuple[str, ...]  # (A,)
    topics: NDArray[np.bool_] | None = None  # (A, G) which topics an item has
    topic_names: tuple[str, ...] = ()
    unbiased: Sequences | None = (
        None  # the users' ratings of items drawn at random, where the files have them
    )
    published: Split | None = None  # where the files fix the held-out part themselves
    users: Vocabulary | None = None  # the names of users, where the file has them
    notes: tuple[str, ...] = ()  # what a reader should know of the file

    @property
    def items(self) -> Vocabulary:
        """The items' names; where several items share one, each with its code."""
        shared = {n for n, count in Counter(self.item_names).items() if count > 1}
        each = enumerate(self.item_names)
        return Vocabulary(tuple(f"{n} ({i})" if n in shared or not n else n for i, n in each))

    @property
    def catalogue(self) -> Catalogue:
        """What the item ids mean; checkpoints are tied to it."""
        return Catalogue.of(self.name, self.item_names)

    def split(self, rule: SplitName = "leave-one-out") -> Split:
        """Training, validation and test parts; the files' own leave-one-out where they fix it.

        development: settings are chosen on it, so that neither validation nor test is read often.
        sessions: whole histories are held out, and each prefix of them is asked.
        """
        if rule == "leave-one-out":
            return self.published or leave_one_out(self.sequences)
        if rule == "global-time":
            return global_time(self.sequences)
        if rule == "development":
            return development(self.split())
        if rule == "sessions":
            return sessions(self.sequences)
        raise ValueError(f"no split {rule!r}; there are {', '.join(get_args(SplitName))}")


@overload
def load(  # type: ignore[overload-overlap]
    name: Literal["open-bandit"], root: Root = None, columns: Sequence[str] = ()
) -> LoggedDataset: ...
@overload
def load(name: str, root: Root = None, columns: Sequence[str] = ()) -> Interactions: ...
def load(name: str, root: Root = None, columns: Sequence[str] = ()) -> Interactions | LoggedDataset:
    """A named data set from its folder, or any CSV, Parquet or JSON-lines file of interactions.

    A file needs the columns user, item (ids of any kind), timestamp (ties keep the file's order)
    and may have reward; `columns` says what they are called there (item=track_id, or a .yaml of
    `longplay inspect`). `open-bandit` is a decision log (campaign all, uniform policy); see
    `experiments.data.open_bandit.load_open_bandit` for the others.

    Raises:
        FileNotFoundError: the folder or file is missing; says where it is looked for.
        ValueError: no such name, or a file that breaks its format.
    """
    if columns and (name == "open-bandit" or name in LOADERS):
        raise ValueError(f"--columns names columns of a file; {name} has columns of its own")
    if name == "open-bandit":
        return load_open_bandit(data_root(root), campaign="all", policy="random")
    if name in LOADERS:
        return LOADERS[name](folder_of(name, root))
    if Path(name).suffix in FORMATS:
        path = Path(name)
        place = path if path.exists() or root is None else Path(root) / path
        return of_file(place, column_names(columns))
    names = ", ".join([*LOADERS, "open-bandit"])
    raise ValueError(f"no data set {name!r}; there are {names}, or a path of {', '.join(FORMATS)}")


def data_root(root: Root) -> Path:
    """The folder of all data sets: `root`, or LONGPLAY_DATA.

    Raises:
        FileNotFoundError: neither names a folder that exists.
    """
    given = os.environ.get("LONGPLAY_DATA") if root is None else root
    if not given:
        raise FileNotFoundError(
            "no data folder: pass --data-root DIR, or set LONGPLAY_DATA, to the folder that holds "
            "the data sets (DIR/ml-100k/ml-100k.inter and so on)"
        )
    if not Path(given).is_dir():
        raise FileNotFoundError(
            f"the data folder {given} does not exist (--data-root, LONGPLAY_DATA)"
        )
    return Path(given)


def folder_of(name: str, root: Root) -> Path:
    """The folder of one data set.

    Raises:
        FileNotFoundError: it is not there; says what to do.
    """
    folder = data_root(root) / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist. Put the published files of {name} there, "
            "or point --data-root (or LONGPLAY_DATA) to the folder that holds it."
        )
    return folder


def _ml_100k(folder: Path) -> Interactions:
    """MovieLens-100K in RecBole's atomic files; genres are the topics."""
    import pandas as pd

    events = pd.read_csv(_need(folder / "ml-100k.inter"), sep="\t")
    films = pd.read_csv(_need(folder / "ml-100k.item"), sep="\t")
    codes = pd.Index(films["item_id:token"]).get_indexer(events["item_id:token"])
    genres = [str(g).split() for g in films["class:token_seq"]]
    names = tuple(sorted({g for some in genres for g in some}))
    sequences = Sequences.from_events(
        events["user_id:token"].to_numpy(),
        codes,
        time=events["timestamp:float"].to_numpy(),
        reward=events["rating:float"].to_numpy(),
        n_items=len(films),
    )
    topics = np.array([[name in some for name in names] for some in genres])
    titles = tuple(map(str, films["movie_title:token_seq"]))
    return Interactions("ml-100k", sequences, titles, topics, names)


def _ml_1m(folder: Path) -> Interactions:
    """MovieLens-1M, 5-core, in the files of the published test; order is known, times are not.

    The second-last event is known for 512 users only: they alone are validated and tested. Their
    third-last stands in val_input only; everybody learns from all but the last two events.
    """
    train = _id_lines(folder / "train_input.txt")
    known, before = _id_lines(folder / "val_input.txt"), _id_lines(folder / "val_output.txt")
    last = _id_lines(folder / "test_output.txt")
    rows = np.sort(np.random.RandomState(42).choice(len(train), 512, replace=False)) - 1
    for row, history in zip(rows, known, strict=True):
        if not np.array_equal(train[row], history[:-1]):
            raise ValueError(f"{folder}: val_input does not continue user {row}'s train_input")
    size = 1 + max(int(one.max()) for one in (*train, *known, *before, *last))
    full = list(train)
    for row, history, second in zip(rows, known, before, strict=True):
        train[row], full[row] = history, np.concatenate([history, second, last[row]])
    valid = Heldout(
        Sequences.from_lists(known, n_items=size, users=rows),
        np.concatenate(before).astype(np.int32),
    )
    test = Heldout(
        Sequences.from_lists([full[r][:-1] for r in rows], n_items=size, users=rows),
        np.concatenate([last[r] for r in rows]).astype(np.int32),
    )
    rule = "leave-one-out, the published test restricted to its 512 exactly known users"
    split = Split(Sequences.from_lists(train, n_items=size), valid, test, rule)
    names = tuple(str(i + 1) for i in range(size))
    return Interactions("ml-1m", Sequences.from_lists(full, n_items=size), names, published=split)


def _amazon_beauty(folder: Path) -> Interactions:
    """Amazon Beauty, 5-core, 12,101 items; attributes (brand, categories) are the topics."""
    lists = [one[1:] for one in _id_lines(folder / "Beauty.txt")]  # a line starts with its user
    size = 1 + max(int(one.max()) for one in lists)
    attributes = json.loads(_need(folder / "Beauty_item2attributes.json").read_text("utf-8"))
    wide = max(max(some) for some in attributes.values() if some)
    topics = np.zeros((size, wide), np.bool_)
    for item, some in attributes.items():
        topics[int(item) - 1, np.array(some, int) - 1] = True
    names = tuple(str(i + 1) for i in range(size))
    of_topics = tuple(f"attribute {i + 1}" for i in range(wide))
    sequences = Sequences.from_lists(lists, n_items=size)
    return Interactions("amazon-beauty", sequences, names, topics, of_topics)


def _coat(folder: Path) -> Interactions:
    """Coat ratings of 290 users; the order inside a user is the items', not that of time."""
    features = np.loadtxt(_need(folder / "item_features.ascii")) > 0
    size = len(features)
    chosen, drawn = (
        Sequences.from_events(user, item, reward=rating, n_items=size)
        for user, item, rating in (
            np.loadtxt(_need(folder / file), delimiter=",", dtype=np.int64).T
            for file in ("user.txt", "random.txt")
        )
    )
    names = tuple(f"coat {i}" for i in range(size))
    of_topics = tuple(f"feature {i}" for i in range(features.shape[1]))
    return Interactions("coat", chosen, names, features, of_topics, unbiased=drawn)


def of_file(path: Path, columns: Mapping[str, str | Sequence[str]]) -> Interactions:
    """Any file with user, item, timestamp[, reward], under the names that `columns` gives them."""
    return _interactions(path.stem, read_events(_need(path), columns))


def of_table(
    source: Any, columns: Mapping[str, str | Sequence[str]] | None = None, name: str = "table"
) -> Interactions:
    """The same of a frame in memory: pandas, polars, Arrow, a DuckDB relation, whatever has Arrow's
    `__arrow_c_stream__`, or a mapping of columns.

    Raises ValueError, which names the column, the row and the fix, for one that does not fit.
    """
    import pyarrow as pa

    given = source if isinstance(source, Mapping) else arrow_table(source)
    try:
        table = pa.table(dict(given)) if isinstance(given, Mapping) else given
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(
            f"{name} is no table: {error}. Give columns of one length, each of one kind of value"
        ) from None
    return _interactions(name, events_of(table, Path(name), columns))


def _interactions(name: str, events: Events) -> Interactions:
    sequences = Sequences.from_events(
        events.user,
        events.item,
        time=events.time,
        reward=events.reward,
        n_items=len(events.items),
    )
    names = events.items.names
    return Interactions(name, sequences, names, users=events.users, notes=events.notes)


def _id_lines(path: Path) -> list[NDArray[np.int64]]:
    """One array of 0-based ids for each line of 1-based ids."""
    try:
        return [
            np.array(line.split(), np.int64) - 1
            for line in _need(path).read_text("utf-8").splitlines()
        ]
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; each line must hold item ids, parted by spaces"
        ) from None


def _need(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; the data set is not complete without it")
    return path


LOADERS: dict[str, Callable[[Path], Interactions]] = {
    "ml-100k": _ml_100k,
    "ml-1m": _ml_1m,
    "amazon-beauty": _amazon_beauty,
    "coat": _coat,
}
