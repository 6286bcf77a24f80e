"""Putting logs end to end, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.checks import Columns
from offpolicy.log.groups import Groups, group
from offpolicy.log.names import Names, NameTable, merged
from offpolicy.log.provenance import Provenance, joint


class Log(Protocol):
    """What is read of a log that is put to others."""

    @property
    def n_items(self) -> int: ...
    @property
    def propensity_source(self) -> str: ...
    @property
    def repeats(self) -> bool: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def names(self) -> Names: ...
    @property
    def provenance(self) -> Provenance: ...
    def columns(self) -> dict[str, NDArray[Any]]: ...


def joined(logs: Sequence[Log]) -> dict[str, Any]:
    """What a log of these logs, one after another, is made of.

    Raises:
        LogError: the logs differ in catalogue, in slate size or in the columns they carry.
    """
    own = [log.columns() for log in logs]
    columns = join_columns(own, [log.n_items for log in logs])
    sources, steps = ({getattr(log, n) for log in logs} for n in ("propensity_source", "max_steps"))
    return columns | {
        "n_items": logs[0].n_items,
        "propensity_source": "estimated" if "estimated" in sources else "logged",
        "repeats": any(log.repeats for log in logs),
        "max_steps": logs[0].max_steps if len(steps) == 1 else None,
        "names": join_names(own, [log.names for log in logs], columns["session"]),
        "provenance": joint(log.provenance for log in logs),
    }


def join_columns(logs: Sequence[Columns], n_items: Sequence[int]) -> dict[str, NDArray[Any]]:
    """The columns of logs over catalogues of `n_items`, one after another.

    Raises:
        LogError: the logs differ in catalogue, in slate size or in the columns they carry.
    """
    first = logs[0]
    for i, log in enumerate(logs):
        width, width_0 = log["slate"].shape[1], first["slate"].shape[1]
        if n_items[i] != n_items[0] or width != width_0:
            raise LogError(
                f"log {i} has slates of {width} of {n_items[i]} items, log 0 of "
                f"{width_0} of {n_items[0]}; only logs of one catalogue and one slate "
                "size can be joined."
            )
        differing = _row_names(log) ^ _row_names(first)
        if differing:
            raise LogError(
                f"log {i} and log 0 do not both carry {', '.join(sorted(differing))}; add the "
                "column to both or leave it out of both."
            )
    columns = {name: np.concatenate([log[name] for log in logs]) for name in _row_names(first)}
    groups = [group(log["session"]) for log in logs]
    columns["session"] = _sessions(logs, groups)
    return columns | _priors(logs, [sessions.n for sessions in groups])


def join_names(
    logs: Sequence[Columns], names: Sequence[Names], session: NDArray[np.int64]
) -> dict[str, NameTable]:
    """The names of logs whose sessions are now `session` (N,), numbered anew or not.

    Raises:
        LogError: the logs name the same item differently.
    """
    joined: dict[str, NameTable] = {}
    for column in ("user", "item"):
        tables = [own[column] for own in names if column in own]
        if tables:
            joined[column] = merged(tables)
        if column == "item" and any(not np.array_equal(t.names, tables[0].names) for t in tables):
            raise LogError(
                "the logs give items different names; only logs of one catalogue can be joined. "
                "Build both with the same item_names."
            )
    ends = np.cumsum([len(log["session"]) for log in logs])
    tables = [
        _renamed(own["session"], log["session"], session[end - len(log["session"]) : end])
        for log, own, end in zip(logs, names, ends, strict=True)
        if "session" in own
    ]
    return joined | ({"session": merged(tables)} if tables else {})


def _renamed(table: NameTable, old: NDArray[np.int64], new: NDArray[np.int64]) -> NameTable:
    """The names of sessions under their new numbers."""
    first = group(old).first
    known, at = table.find(old[first])
    ids, where = np.unique(new[first][known], return_index=True)
    return NameTable(ids, table.names[at[known]][where])


def _row_names(log: Columns) -> set[str]:
    return {name for name in log if not name.startswith("prior_")}


def _sessions(logs: Sequence[Columns], groups: Sequence[Groups]) -> NDArray[np.int64]:
    """Session ids, numbered anew where ids of different logs coincide."""
    ids = np.concatenate(
        [log["session"][sessions.first] for log, sessions in zip(logs, groups, strict=True)]
    )
    if len(np.unique(ids)) == len(ids):
        return np.concatenate([log["session"] for log in logs])
    offset = np.cumsum([0] + [sessions.n for sessions in groups[:-1]])
    return np.concatenate([g.code + o for g, o in zip(groups, offset, strict=True)])


def _priors(logs: Sequence[Columns], n_sessions: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Prior histories, padded on the left to the longest."""
    width = max(log["prior_items"].shape[1] if "prior_items" in log else -1 for log in logs)
    if width < 0:
        return {}
    items, responses = [], []
    for log, n in zip(logs, n_sessions, strict=True):
        observed = log["responses"].shape[1] if "responses" in log else 0
        padded = np.full((n, width), -1, np.int32)
        padded_responses = np.zeros((n, width, observed), np.float32)
        if "prior_items" in log and log["prior_items"].shape[1]:
            at = slice(width - log["prior_items"].shape[1], None)
            padded[:, at] = log["prior_items"]
            if "prior_responses" in log:
                padded_responses[:, at] = log["prior_responses"]
        items.append(padded)
        responses.append(padded_responses)
    priors: dict[str, NDArray[Any]] = {"prior_items": np.concatenate(items)}
    if any("prior_responses" in log for log in logs):
        priors["prior_responses"] = np.concatenate(responses)
    return priors
