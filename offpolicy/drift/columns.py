"""The inputs of two logs, as columns that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.drift.inputs import Column
from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group, rank_in_group

I64 = NDArray[np.int64]
PLACES = 8  # of the context that are looked at one by one; a wider one is looked at as a whole
Users = tuple[I64, I64]
Sides = tuple[LoggedDataset, LoggedDataset]
Pair = tuple[ArrayLike, ArrayLike]  # of the reference, of the recent log


def input_columns(
    reference: LoggedDataset, recent: LoggedDataset, more: Mapping[str, Pair] | None = None
) -> list[Column]:
    """Items shown, on offer and consumed, contexts, and the history at first decisions, as far as
    both logs have them; and `more` columns (N,) of each log by name: numbers, or texts as
    categories.

    Raises:
        LogError: a column that is not one entry a decision of both logs.
    """
    sides = reference, recent
    users = group(reference.unit).code, group(recent.unit).code
    made = [_category("items shown", sides, users, "slate")]
    if all(log.candidates is not None for log in sides):
        made.append(_category("items on offer", sides, users, "candidates"))
    if all(log.consumed is not None for log in sides):
        made.append(_category("items consumed", sides, users, "consumed"))
    made += _contexts(sides, users)
    made += _histories(sides, users)
    for name, (a, b) in (more or {}).items():
        made.append(named(name, a, b, users, (len(reference), len(recent))))
    return made


def named(
    name: str,
    reference: ArrayLike,
    recent: ArrayLike,
    users: Users,
    rows: tuple[int, int],
) -> Column:
    """A column of plain numbers or texts.

    Raises:
        LogError: it is not one entry a decision.
    """
    a, b = np.asarray(reference), np.asarray(recent)
    for x, n, side in ((a, rows[0], "reference"), (b, rows[1], "recent")):
        if x.shape != (n,):
            raise LogError(
                f"column {name} of the {side} log has shape {x.shape}; it is ({n},), one entry a "
                "decision"
            )
    if a.dtype.kind in "OUSb" or b.dtype.kind in "OUSb":
        texts, code = np.unique(np.r_[a.astype("U"), b.astype("U")], return_inverse=True)
        code = code.ravel()
        labels = tuple(texts.tolist())
        return Column(name, "category", (code[: len(a)], code[len(a) :]), users, labels)
    for x, side in ((a, "reference"), (b, "recent")):
        off = np.flatnonzero(~np.isfinite(x))
        if off.size:
            raise LogError(f"column {name} of the {side} log: row {off[0]} is {x[off[0]]}")
    return Column(name, "number", (a, b), users)


def _category(name: str, sides: Sides, users: Users, column: str) -> Column:
    known = sides[0].names.get("item")
    labels: tuple[str, ...] = ()
    if known is not None:
        labels = tuple(known.of(np.arange(sides[0].n_items)))
    values: list[Any] = [getattr(log, column) for log in sides]
    return Column(name, "category", (values[0], values[1]), users, labels)


def _contexts(sides: Sides, users: Users) -> list[Column]:
    a, b = (log.context for log in sides)
    if a is None or b is None or a.shape[1] != b.shape[1] or not a.shape[1]:
        return []
    places = range(a.shape[1]) if a.shape[1] <= PLACES else ()
    made = [Column(f"context[{d}]", "number", (a[:, d], b[:, d]), users) for d in places]
    if a.shape[1] > 1:
        made.append(Column("context", "vector", (a, b), users))
    return made


def _histories(sides: Sides, users: Users) -> list[Column]:
    """Events known at the first decision of a session."""
    if all(log.prior_items is None for log in sides):
        return []
    known = [
        np.zeros(log.n_sessions) if log.prior_items is None else (log.prior_items >= 0).sum(1)
        for log in sides
    ]
    own = [user[log.groups.first] for log, user in zip(sides, users, strict=True)]
    name = "history at the first decision"
    return [Column(name, "number", (known[0], known[1]), (own[0], own[1]))]


def with_holes(log: LoggedDataset) -> NDArray[np.bool_]:
    """(S,) sessions of which decisions are missing."""
    off = rank_in_group(log.groups) != log.step
    return np.asarray(np.bincount(log.sessions, off, log.n_sessions) > 0)
