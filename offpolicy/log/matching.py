"""Which row of another table is about which row of a log: by session and step, by nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.log.columns import check_no_missing, whole_numbers
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64
from offpolicy.log.names import number_names


def match_rows(
    log: LoggedDataset, session: ArrayLike, step: ArrayLike | None, *, source: str = "the table"
) -> I64:
    """(N,) where each row of the log stands in a table with these sessions and steps (M,), in any
    order. Sessions are numbers as in the log, or the names that it was built from; without `step`,
    the log's sessions have one row each.

    Raises:
        LogError: a row of the log is not in the table, a row of the table is not in the log, or one
            stands there twice; the message names it.
    """
    if log.provenance.single_decisions:
        raise LogError(
            f"{source} names sessions, but the log was read from a table without them. Say which "
            'of its columns is the session, columns={"session": "episode_id"}, so that rows can be '
            "matched."
        )
    own = log.session, log.step.astype(np.int64)
    if step is None:
        if log.n_sessions < len(log):
            raise LogError(
                f"{source} names sessions but no step, and sessions of the log have several rows; "
                "add each row's position in its session."
            )
        step, own = np.zeros(len(np.asarray(session)), np.int64), (own[0], np.zeros_like(own[1]))
    theirs = _ids(log, session, source), whole_numbers("step", step, np.int64)
    if len(theirs[0]) != len(theirs[1]):
        raise LogError(f"{source}: session has {len(theirs[0])} rows, step {len(theirs[1])}.")
    here, there = np.lexsort(own[::-1]), np.lexsort(theirs[::-1])
    _check_once(log, session, [x[there] for x in theirs], there, source)
    if len(here) != len(there) or any(
        not np.array_equal(a[here], b[there]) for a, b in zip(own, theirs, strict=True)
    ):
        raise LogError(_difference(log, own, theirs, np.asarray(session), source))
    order = np.empty(len(log), np.int64)
    order[here] = there
    return order


def _ids(log: LoggedDataset, session: ArrayLike, source: str) -> I64:
    """Sessions of the table by the log's own numbers; -1 and a hash that no row has for others."""
    a = np.asarray(session)
    check_no_missing("session", a, "Drop the row, or name its session.")
    table = log.names.get("session")
    if table is not None:
        names, count = np.unique(table.names, return_counts=True)
        if (count > 1).any():
            raise LogError(
                f"{source} cannot be matched: {count.max()} sessions of the log are called "
                f"{names[count.argmax()]}. Give sessions of different logs different names first."
            )
        text = a.astype("U")
        known, ids = table.ids_of(text)
        return np.asarray(np.where(known, ids, number_names("session", text)[0]), np.int64)
    if a.dtype.kind not in "OUS":
        return whole_numbers("session", a, np.int64)
    text = a.astype("U")
    if np.char.isdigit(np.char.lstrip(text, "-")).all():
        return text.astype(np.int64)
    return number_names("session", text)[0]


def _check_once(
    log: LoggedDataset, session: Any, ordered: list[I64], there: I64, source: str
) -> None:
    twice = np.flatnonzero(
        (ordered[0][1:] == ordered[0][:-1]) & (ordered[1][1:] == ordered[1][:-1])
    )
    if twice.size:
        row = int(there[twice[0] + 1])
        raise LogError(
            f"{source} has session {np.asarray(session)[row]}, step {ordered[1][twice[0]]} twice "
            f"(row {row}); drop the repeats. ({twice.size} rows break this rule.)"
        )


def _difference(
    log: LoggedDataset,
    own: tuple[NDArray[Any], NDArray[Any]],
    theirs: tuple[NDArray[Any], NDArray[Any]],
    session: NDArray[Any],
    source: str,
) -> str:
    """What the table misses of the log, or has beyond it."""
    a, b = (np.array(list(zip(*x, strict=True)), "i8,i8") for x in (own, theirs))
    missing, surplus = np.flatnonzero(~np.isin(a, b)), np.flatnonzero(~np.isin(b, a))
    said = []
    if missing.size:
        row = int(missing[0])
        name = log.names_of("session", log.session[[row]])[0]
        said.append(
            f"{source} has no row for session {name}, step {log.step[row]} (row {row} of the log; "
            f"{missing.size} of {len(log)} rows are missing)"
        )
    if surplus.size:
        row = int(surplus[0])
        said.append(
            f"{source} has session {session[row]}, step {theirs[1][row]} (its row {row}), which "
            f"the log has not ({surplus.size} of {len(b)} rows are surplus)"
        )
    return "; ".join(said) + ". Score the rows of this log, each once."
