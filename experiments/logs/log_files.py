"""What commands read besides their settings: logs, target scores, columns of a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from experiments.common.building import is_saved, load_saved
from experiments.data.mapping import column_names
from experiments.logs.seen import warn
from offpolicy import LoggedDataset, TargetScores, match_scores, read_log
from offpolicy.storage.foreign import row_order, table_columns
from offpolicy.storage.manifest import MANIFEST, log_parts
from offpolicy.storage.tables import FORMATS, read_table


def open_log(
    path: Path, columns: Sequence[str], n_items: int | None, max_steps: int | None = None
) -> LoggedDataset:
    """A log of this project, or a foreign table (Parquet, CSV, JSON lines) with its column names.
    `max_steps` says after how many decisions sessions end by design.

    Raises:
        ValueError: an entry of `columns` that is not ours=theirs, or what is no table.
    """
    log = _opened(path, columns, n_items)
    return log if max_steps is None else log.with_max_steps(max_steps)


def _opened(path: Path, columns: Sequence[str], n_items: int | None) -> LoggedDataset:
    loose = path.is_dir() and not (path / MANIFEST).exists() and not any(path.glob("*.parquet"))
    text = path.suffix in FORMATS[2:] or (loose and bool(columns))
    if not (text or columns or n_items is not None):
        return read_log(path)
    source = read_table(path) if text else path
    return read_log(source, columns=column_names(columns), n_items=n_items)


def scores_of(
    target: str, log: LoggedDataset, *, seed: int = 0, columns: Sequence[str] = ()
) -> TargetScores:
    """What a target policy says of the log: a folder that `policies.save` wrote or a run folder, a
    zip of a stock agent, a file of scores,
    a policy of one's own as "module:attribute", or `uniform` over what was offered. `seed` is of a
    saved policy's draws for reward models; `columns` are the log's, whose names for session and
    step the file may use too.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the policy is of another catalogue or slate size, or the scores do not fit.
    """
    if target == "uniform":
        return _uniform(log)
    if ":" in target and not Path(target).exists():
        from policies import build, score_log, serving_of_log

        return score_log(build(target, serving_of_log(log)), log, seed=seed)
    if is_saved(target):
        from policies import score_log, serving_of_log

        warn([target], log)
        sizes = serving_of_log(log) if target.endswith(".zip") else None
        return score_log(load_saved(target, sizes), log, seed=seed)
    return read_scores(Path(target), log, columns=columns)


def _uniform(log: LoggedDataset) -> TargetScores:
    offered = np.full(len(log), float(log.n_items))
    if log.candidates is not None:
        offered = (log.candidates >= 0).sum(1).astype(np.float64)
    filled = np.cumsum(log.slate >= 0, axis=1) - 1  # places filled above this one
    if log.repeats:  # whose items stay on offer
        filled = np.zeros_like(filled)
    chance = 1 / np.maximum(offered[:, None] - filled, 1)
    places = np.where(log.slate >= 0, chance, 1.0)
    return TargetScores(places.prod(1), places)


def read_scores(path: Path, log: LoggedDataset, *, columns: Sequence[str] = ()) -> TargetScores:
    """A target policy's scores from a file: rows are matched by session and step where the file has
    them, else they stand in the log's order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no `propensity`, or not one for each decision.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; name a file of scores, or a folder that policies.save wrote"
        )
    named = column_names(columns)
    table: Any
    if path.suffix in (".npy", ".npz"):
        table = _arrays(path)
    elif path.suffix in FORMATS:
        ids = [str(x) for x in ("session", named.get("session", "session"))]
        table = read_table(path, text=ids)
    else:
        raise ValueError(f"{path}: target scores are .npy, .npz or {', '.join(FORMATS)}")
    return match_scores(log, table, columns=named, source=str(path))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """A file's arrays by name; the one of a .npy file is `propensity`. Raises ValueError for a file
    that is none, or that holds pickled objects."""
    try:
        content = np.load(path, allow_pickle=False)
        if path.suffix == ".npy":
            return {"propensity": np.asarray(content)}
        return {name: content[name] for name in content.files}
    except (ValueError, EOFError, BadZipFile, AttributeError) as error:
        raise ValueError(
            f"{path} holds no arrays that can be read ({error}); write it with numpy.save"
        ) from None


def any_column(
    name: str, path: Path, log: LoggedDataset, columns: Sequence[str] = ()
) -> NDArray[Any]:
    """(N,) a column of the table that the log was read from, whatever it is called there; else of
    the log ("context.3"). Dates are seconds since 1970. `columns` are the log's.

    Raises:
        ValueError: neither has it, or it is no column of one entry per decision.
    """
    parts = log_parts(path) if (path / MANIFEST).exists() else None
    tables = [read_table(p.path) for p in parts] if parts else [read_table(path)]
    if any(name not in t.column_names for t in tables):
        return column_of(name, log)
    column = np.concatenate([table_columns(t.select([name]))[name] for t in tables])
    if log.provenance.reordered and not parts and len(tables) == 1:
        rows = row_order(tables[0], column_names(columns))
        column = column if rows is None else column[rows]
    if column.shape != (len(log),):
        raise ValueError(f"{name} of {path} has shape {column.shape}; it is one entry a decision")
    if column.dtype.kind == "M":
        return np.asarray(column.astype("datetime64[us]").astype(np.float64) / 1e6)
    return column


def column_of(text: str, log: LoggedDataset) -> NDArray[Any]:
    """(N,) a column of the log: "step", or "context.3" for one of its places.

    Raises:
        ValueError: the log has no such column, or it has no such place.
    """
    name, _, place = text.partition(".")
    column = log.columns().get(name)
    at = int(place) if place.isdecimal() else 0
    if column is None or len(column) != len(log) or (column.ndim > 1 and at >= column.shape[1]):
        raise ValueError(f"the log has no column {text}; it has {', '.join(log.columns())}")
    return column if column.ndim == 1 else np.asarray(column[:, at])
