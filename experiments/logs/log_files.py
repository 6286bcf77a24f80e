"""What commands read besides their settings: logs, target scores, columns of a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset, TargetScores, read_log


def open_log(path: Path, columns: Sequence[str], n_items: int | None) -> LoggedDataset:
    """A log of this project, or a foreign one with its column names.

    Raises:
        ValueError: an entry of `columns` that is not ours=theirs.
    """
    if not columns and n_items is None:
        return read_log(path)
    named: dict[str, str | Sequence[str]] = {}
    for entry in columns:
        ours, equals, theirs = entry.partition("=")
        if not equals:
            raise ValueError(f"--columns {entry}: write ours=theirs, such as slate=item_id")
        parts = theirs.split(",")
        named[ours] = parts if len(parts) > 1 else theirs
    return read_log(path, columns=named, n_items=n_items)


def scores_of(target: str, log: LoggedDataset, *, seed: int = 0) -> TargetScores:
    """What a target policy says of the log: a folder that `policies.save` wrote, a file of scores,
    or `uniform` over what was offered. `seed` is of a saved policy's draws for reward models.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the policy is of another catalogue or slate size, or the scores do not fit.
    """
    if target == "uniform":
        return _uniform(log)
    if Path(target).is_dir():
        from policies import load, score_log

        return score_log(load(target), log, seed=seed)
    return read_scores(Path(target), log)


def _uniform(log: LoggedDataset) -> TargetScores:
    offered = np.full(len(log), float(log.n_items))
    if log.candidates is not None:
        offered = (log.candidates >= 0).sum(1).astype(np.float64)
    filled = np.cumsum(log.slate >= 0, axis=1) - 1  # places filled above this one
    chance = 1 / np.maximum(offered[:, None] - filled, 1)
    places = np.where(log.slate >= 0, chance, 1.0)
    return TargetScores(places.prod(1), places)


def read_scores(path: Path, log: LoggedDataset) -> TargetScores:
    """A target policy's scores from a file with one row per decision of the log, in its order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no `propensity`, or not one for each decision.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; name a file of scores, or a folder that policies.save wrote"
        )
    columns = _columns(path)
    if "propensity" not in columns:
        raise ValueError(f"{path} holds {', '.join(columns)}; it needs a column `propensity`")
    if len(columns["propensity"]) != len(log):
        raise ValueError(
            f"{path} has {len(columns['propensity'])} rows, the log {len(log)} decisions: give the "
            "target's probability of each logged slate, in the log's order"
        )
    return TargetScores(
        np.asarray(columns["propensity"], np.float64),
        position_propensity=columns.get("position_propensity"),
        slates=columns.get("slates"),
        slate_weight=columns.get("slate_weight"),
    )


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    if path.suffix in {".npy", ".npz"}:
        content = np.load(path, allow_pickle=False)
        if path.suffix == ".npy":
            return {"propensity": content}
        return {name: content[name] for name in content.files}
    import pandas as pd

    if path.suffix not in {".csv", ".parquet", ".pq"}:
        raise ValueError(f"{path}: target scores are .csv, .parquet, .npy or .npz")
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return {str(name): table[name].to_numpy() for name in table.columns}


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
