"""What a foreign table says otherwise than a log: times for steps, lists of what was clicked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.rectangular import rectangular_tables
from offpolicy.storage.instants import instants
from offpolicy.storage.lists import is_text, lists_of_text, looks_like_lists
from offpolicy.vocabulary import distinct_names

TIME, CLICKED = "time", "clicked"
LISTS = (
    "slate", "candidates", "prior_items", "position_propensity", "position_reward",
    "candidate_propensity", "responses", "context", CLICKED,
)  # fmt: skip


def with_lists(present: Mapping[str, Any]) -> dict[str, Any]:
    """The columns, cells of text that hold lists read as lists."""
    read = dict(present)
    for name in LISTS:
        column = read.get(name)
        if isinstance(column, np.ndarray) and (
            looks_like_lists(column) or (name == CLICKED and is_text(column))
        ):
            read[name] = lists_of_text(name, column)
    return read


def order_by_time(session: Any, time: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(steps, rows): each row's step in its session by time, ties in the order of the rows; and the
    order of the rows in which every session runs forward, its rows in the places it has."""
    _, code = distinct_names(session)
    when = instants(TIME, np.asarray(time))
    if when.dtype.kind == "M":
        when = when.astype(np.int64)
    if len(code) != len(when):
        raise LogError(f"session has {len(code)} rows, time {len(when)}.")
    places = np.argsort(code, kind="stable")  # rows of each session, one session after another
    sorted_rows = np.lexsort((when, code))  # stable: equal times keep the order of the rows
    rows = np.empty(len(code), np.int64)
    rows[places] = sorted_rows
    starts = np.flatnonzero(np.r_[True, np.diff(code[places]) != 0])
    counts = np.diff(np.r_[starts, len(code)])
    step = np.empty(len(code), np.int32)
    step[places] = np.arange(len(code)) - np.repeat(starts, counts)
    return step, rows


def of_clicks(present: Mapping[str, Any]) -> dict[str, Any]:
    """position_reward, consumed (the first that was clicked) and reward (the number of clicks), as
    far as they are missing, from `clicked`: 0 and 1 for each place, or the ids of what was clicked.

    Raises:
        LogError: no slate, or an item was clicked that the slate does not show.
    """
    if "slate" not in present:
        raise LogError("clicked needs slate: say which column holds what was shown.")
    clicks = present[CLICKED]
    tables = rectangular_tables({"slate": present["slate"]})
    slate = np.asarray(tables["slate"])
    slate = slate[:, None] if slate.ndim == 1 else slate
    rows = [np.atleast_1d(np.asarray(row)) for row in clicks]
    flags = all(len(row) == slate.shape[1] for row in rows) and all(
        set(row.tolist()) <= {0, 1} for row in rows
    )
    shown = np.asarray(rows, np.float64) if flags else _among(rows, slate)
    first = np.where(shown.any(axis=1), shown.argmax(axis=1), -1)
    empty = "" if slate.dtype.kind in "OU" else -1
    taken = np.where(first < 0, empty, slate[np.arange(len(slate)), np.maximum(first, 0)])
    derived = {"position_reward": shown, "consumed": taken, "reward": shown.sum(axis=1)}
    return derived | {n: x for n, x in present.items() if n != CLICKED}


def _among(rows: list[NDArray[Any]], slate: NDArray[Any]) -> NDArray[np.float64]:
    """(N, K) 1 where the item of that place is among those clicked."""
    shown = np.zeros(slate.shape)
    for at, clicked in enumerate(rows):
        names = {str(x) for x in clicked.tolist() if x is not None and x == x and str(x) != ""}
        own = [str(x) for x in slate[at].tolist()]
        lost = names - set(own)
        if lost:
            raise LogError(
                f"clicked[{at}] holds {min(lost)!r}, which slate[{at}] does not show. Log what was "
                "shown, or drop that click."
            )
        shown[at] = [name in names for name in own]
    return shown
