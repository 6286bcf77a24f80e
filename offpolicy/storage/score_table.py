"""A table of a target policy's scores -> TargetScores, matched with the rows of a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.matching import match_rows
from offpolicy.log.scores import TABLES, TargetScores, check_scores
from offpolicy.storage.foreign import table_columns


def match_scores(
    log: LoggedDataset,
    table: Any,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    source: str = "the table of target scores",
) -> TargetScores:
    """Scores of a target policy from a table (frame, Arrow table, mapping of arrays) with a column
    `propensity` and, where known, position_propensity, slates and slate_weight.

    With `session` and `step` (under these names, or those that `columns` gives the log's) its rows
    may stand in any order and are matched by them. Without, they must stand in the log's order,
    which must be the one that the rows were logged in.

    Raises:
        LogError: no propensity; rows missing, surplus or repeated; another number of rows; or no
            session and step for a log whose rows were put in another order.
    """
    there = table_columns(table)
    if "propensity" not in there:
        raise LogError(f"{source} holds {', '.join(there)}; it needs a column `propensity`")
    names = {n: (columns or {}).get(n, n) for n in ("session", "step")}
    found = {n: there.get(n, there.get(str(theirs))) for n, theirs in names.items()}
    session, step = found["session"], found["step"]
    if session is None and step is not None:
        raise LogError(
            f"{source} has steps but no session, so its rows cannot be matched with the log's: add "
            "the column `session`, or leave out `step`."
        )
    if session is not None:
        rows = match_rows(log, session, step, source=source)
        there = {n: x[rows] for n, x in there.items()}
    else:
        _check_order(log, len(there["propensity"]), source)
    given = {n: there[n] for n in TABLES if n in there}
    scores = TargetScores(np.asarray(there["propensity"], np.float64), **given)
    check_scores(log, scores)
    return scores


def _check_order(log: LoggedDataset, rows: int, source: str) -> None:
    """Row numbers mean the same in both."""
    if rows != len(log):
        raise LogError(
            f"{source} has {rows} rows, the log {len(log)} decisions: give the target's "
            "probability of each logged slate, with its session and step or in the log's order"
        )
    if log.provenance.reordered:
        raise LogError(
            f"{source} says nothing of sessions and steps, and the rows of this log were put in "
            "another order since they were logged (`longplay compact`), so they cannot be matched "
            "by their number. Put session and step beside propensity (.csv, .parquet, or arrays "
            "of an .npz)."
        )
