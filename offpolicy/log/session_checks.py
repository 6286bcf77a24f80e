"""The rules of sessions: steps grow, nothing follows an end, one user each, none missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.checks import Columns, validate
from offpolicy.log.groups import Groups, in_group_order
from offpolicy.log.names import Names, name_of
from offpolicy.log.provenance import Provenance

SAME = 1e-6  # relative difference of numbers that are meant to be equal


def check_longest(columns: Columns, max_steps: int | None) -> None:
    """No session is longer than sessions are by design."""
    if max_steps is None:
        return
    if max_steps < 1:
        raise LogError(f"max_steps = {max_steps}; a session has at least one decision.")
    validate(
        columns["step"] >= max_steps,
        lambda i: (
            f"step[{i}] = {columns['step'][i]}, but sessions end after max_steps = {max_steps} "
            "decisions (steps are counted from 0). Correct max_steps, or take the rows before it."
        ),
    )


def check_sessions(columns: Columns, sessions: Groups, names: Names) -> None:
    """Steps grow inside a session, nothing follows an end, a session has one user."""
    step = columns["step"]
    validate(
        step < 0,
        lambda i: f"step[{i}] = {step[i]} is negative. Steps count from 0 in each session.",
    )
    order = (
        np.argsort(sessions.code, kind="stable")
        if not sessions.contiguous
        else np.arange(len(step))
    )
    same = sessions.code[order[:-1]] == sessions.code[order[1:]]
    _check_order(columns, names, order[:-1], order[1:], same)
    if "user" in columns:
        _check_users(columns, names, order[:-1], order[1:], same)


def _check_order(
    columns: Columns, names: Names, a: NDArray[Any], b: NDArray[Any], same: NDArray[np.bool_]
) -> None:
    """Rows a and the next rows b, of the `same` session: steps grow, and nothing follows an end."""
    session, step = columns["session"], columns["step"]
    _check_pairs(
        same & (step[b] <= step[a]),
        b,
        lambda i: (
            f"row {i} is out of order: session {name_of(names, 'session', session[i])} comes to "
            f"step {step[i]} after an equal or later step. Rows are in time order inside a session "
            "and no (session, step) repeats; sort by (session, step) and drop duplicates."
        ),
    )
    ended = (columns["terminated"][a] | columns["truncated"][a]) & same
    _check_pairs(
        ended,
        b,
        lambda i: (
            f"row {i} follows the end of its session {name_of(names, 'session', session[i])}. A "
            "row with terminated or truncated is the last of its session; give what follows a new "
            "session id."
        ),
    )


def _check_users(
    columns: Columns, names: Names, a: NDArray[Any], b: NDArray[Any], same: NDArray[np.bool_]
) -> None:
    session, user = columns["session"], columns["user"]
    _check_pairs(
        same & (user[a] != user[b]),
        b,
        lambda i: (
            f"row {i} gives session {name_of(names, 'session', session[i])} a second user "
            f"({name_of(names, 'user', user[i])}). A session "
            "belongs to one user; make session ids unique across users."
        ),
    )


def check_several_users(columns: Columns, sessions: Groups, names: Names) -> None:
    """The column `user`, where there is one, tells sessions apart: users are the independent units,
    and of one there is no error to speak of."""
    user = columns.get("user")
    if user is not None and sessions.n > 1 and bool((user == user[0]).all()):
        raise LogError(
            f"the column user has one value ({name_of(names, 'user', user[0])}) for all "
            f"{sessions.n} sessions, so there is one independent unit and no interval. Leave the "
            "column out where it names nobody; sessions are then the units."
        )


def check_names_sessions(provenance: Provenance, why: str) -> None:
    """The log's rows are known to form sessions."""
    if provenance.single_decisions:
        raise LogError(
            "the table that this log was read from names no sessions, so each row is one "
            f"decision: {why} Say which of its columns names the session (and its step): "
            'columns={"session": "episode_id", "step": "t"}; or ask for horizon="one_step".'
        )


def check_session_weights(columns: Columns, sessions: Groups, names: Names) -> None:
    """A session is kept or dropped as a whole."""
    h = columns.get("row_weight")
    if h is None:
        return
    own = h[sessions.first][sessions.code]
    _check_pairs(
        np.abs(h - own) > SAME * own,
        np.arange(len(h)),
        lambda i: (
            f"row_weight[{i}] = {h[i]:.6g} differs from {own[i]:.6g}, that of the first row of its "
            f"session {name_of(names, 'session', columns['session'][i])}. Sessions are kept or "
            "dropped as a whole: give each row the weight of its session, or ask for "
            'horizon="one_step".'
        ),
    )


def check_whole_sessions(columns: Columns, sessions: Groups, names: Names, why: str) -> None:
    """No session has missing steps. `why` says what would be wrong without them."""
    session, step = columns["session"], columns["step"]
    order = in_group_order(sessions, step)
    rows = np.arange(len(step)) if order is None else order
    code = sessions.code[rows]
    start = np.ones(len(code), bool)
    start[1:] = code[1:] != code[:-1]
    at = np.flatnonzero(start)
    expected = np.arange(len(code)) - np.repeat(at, np.diff(np.append(at, len(code))))
    _check_pairs(
        step[rows] != expected,
        rows,
        lambda i: (
            f"session {name_of(names, 'session', session[i])} has missing steps before row {i} "
            f"(step {step[i]}): {why} Keep whole sessions: log.take(np.isin(log.session, "
            "chosen_sessions))."
        ),
    )


def _check_pairs(bad: NDArray[np.bool_], row: NDArray[Any], say: Callable[[int], str]) -> None:
    hit = np.flatnonzero(bad)
    if hit.size:
        raise LogError(f"{say(int(row[hit].min()))} ({hit.size} rows break this rule.)")
