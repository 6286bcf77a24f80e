"""The rules of a decision log. Each names the first row that breaks it, and the fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.groups import Groups, in_group_order

ROUNDING = 1e-6  # probabilities that passed through float32 may exceed 1 by this much
Columns = Mapping[str, NDArray[Any]]  # the columns of a log that are present, by name
PRODUCT = 1e-4  # relative: how far the product of the positions may stand from the propensity


def validate(bad: NDArray[np.bool_] | np.bool_, say: Callable[[int], str]) -> None:
    """Raise LogError about the first bad row, counting the others."""
    rows = np.flatnonzero(bad)
    if rows.size:
        row = int(rows[0])
        raise LogError(f"{say(row)} ({rows.size} of {np.size(bad)} rows break this rule.)")


def any_of(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, ...) -> (N,): does any entry of the row break the rule."""
    return np.asarray(bad.any(axis=tuple(range(1, bad.ndim)))) if bad.ndim > 1 else bad


def check_lengths(columns: Columns) -> None:
    """All columns have one entry per decision, and there is at least one decision."""
    lengths = {k: len(v) for k, v in columns.items() if not k.startswith("prior_")}
    if len(set(lengths.values())) > 1:
        raise LogError(
            f"columns differ in length: {lengths}; every column is one row per decision. "
            "Build all columns from the same rows."
        )
    if lengths["session"] == 0:
        raise LogError("the log has no rows; log at least one decision, or check the filter.")


def check_propensities(columns: Columns, source: str) -> None:
    """Propensities lie in (0, 1] and those of the positions multiply up to the slate's."""
    p = columns["propensity"]
    if source not in ("logged", "estimated"):
        raise LogError(f"propensity_source = {source!r}; it is logged or estimated")
    validate(
        ~((p > 0) & (p <= 1 + ROUNDING)),
        lambda i: (
            f"propensity[{i}] = {p[i]:.6g} is outside (0, 1]. Log the probability that the serving "
            "policy gave the slate it served, at serve time; if a rule overrode the policy there, "
            "drop those rows with log.take(~overridden) and say so in the report."
        ),
    )
    if "position_propensity" in columns:
        _check_positions(columns["position_propensity"], p, columns["slate"].shape)


def _check_positions(
    pp: NDArray[np.float64], p: NDArray[np.float64], shape: tuple[int, ...]
) -> None:
    """Each position's probability lies in (0, 1], and together they make the slate's."""
    _check_shape("position_propensity", pp, shape)
    validate(
        any_of(~((pp > 0) & (pp <= 1 + ROUNDING))),
        lambda i: (
            f"position_propensity[{i}] = {pp[i].tolist()} leaves (0, 1]. Each position carries the "
            "probability of its item given the positions above; an empty position carries 1."
        ),
    )
    product = pp.prod(1)
    validate(
        np.abs(product - p) > PRODUCT * p,
        lambda i: (
            f"position_propensity[{i}] multiplies to {product[i]:.6g} but propensity[{i}] = "
            f"{p[i]:.6g}. The product of the positions is the propensity of the slate; read both "
            "off the same distribution."
        ),
    )


def check_numbers(columns: Columns, n_items: int) -> None:
    """Rewards, responses, context are finite."""
    fix = "Fill what is known to be zero before logging, drop rows whose outcome is unknown."
    for name in ("reward", "position_reward", "responses", "context", "prior_responses"):
        x = columns.get(name)
        if x is None or bool(np.isfinite(x).all()):
            continue
        validate(
            any_of(~np.isfinite(x)),
            lambda i, x=x, name=name: (  # type: ignore[misc]
                f"{name}[{i}] = {x[i].tolist()} is not a finite number. {fix}"
            ),
        )
    if "position_reward" in columns:
        _check_shape("position_reward", columns["position_reward"], columns["slate"].shape)
    if "candidate_propensity" in columns:
        width = columns["candidates"].shape[1] if "candidates" in columns else n_items
        cp = columns["candidate_propensity"]
        _check_shape("candidate_propensity", cp, (len(cp), width))
        validate(
            any_of(~((cp >= 0) & (cp <= 1 + ROUNDING))),
            lambda i: (
                f"candidate_propensity[{i}] leaves [0, 1]. It is the probability of every "
                "candidate at the first position; an empty candidate carries 0."
            ),
        )


def check_items(columns: Columns, n_items: int) -> None:
    """Item ids belong to the catalogue and no slate or candidate set repeats one."""
    for name in ("slate", "candidates", "consumed", "prior_items"):
        if name in columns:
            _check_known(name, columns[name], n_items)
    for name in ("slate", "candidates"):
        if name in columns and columns[name].shape[1] > 1:
            _check_repeats(name, columns[name])
    if "candidates" in columns:
        _check_offered(columns["slate"], columns["candidates"])


def _check_known(name: str, ids: NDArray[Any], n_items: int) -> None:
    validate(
        any_of((ids < -1) | (ids >= n_items)),
        lambda i: (
            f"{name}[{i}] = {ids[i].tolist()} holds an unknown item. Ids run from 0 to "
            f"n_items - 1 = {n_items - 1}, -1 is empty; map foreign ids before logging, "
            "or pass the right n_items."
        ),
    )


def _check_repeats(name: str, ids: NDArray[Any]) -> None:
    validate(
        repeats(ids),
        lambda i: (
            f"{name}[{i}] = {ids[i].tolist()} repeats an item. An item stands in one "
            "position only; drop the repeated position (-1) and its propensity before logging."
        ),
    )


def _check_offered(slate: NDArray[Any], offered: NDArray[Any]) -> None:
    shown = [(s >= 0) & ~(offered == s[:, None]).any(1) for s in slate.T]
    validate(
        np.stack(shown, axis=1).any(1),
        lambda i: (
            f"slate[{i}] = {slate[i].tolist()} shows an item that candidates[{i}] did not "
            "offer. Log the candidates the policy chose from, or leave the column out."
        ),
    )


def repeats(ids: NDArray[Any]) -> NDArray[np.bool_]:
    """(N, K) -> (N,): an item other than -1 stands twice in the row."""
    if ids.shape[1] <= 6:
        twice = np.zeros(len(ids), bool)
        for k in range(1, ids.shape[1]):
            for j in range(k):
                twice |= (ids[:, k] == ids[:, j]) & (ids[:, k] >= 0)
        return twice
    ordered = np.sort(ids, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    return np.asarray(twice.any(1))


def check_sessions(columns: Columns, sessions: Groups) -> None:
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
    _check_order(columns, order[:-1], order[1:], same)
    if "user" in columns:
        _check_users(columns["session"], columns["user"], order[:-1], order[1:], same)


def _check_order(
    columns: Columns, a: NDArray[Any], b: NDArray[Any], same: NDArray[np.bool_]
) -> None:
    """Rows a and the next rows b, of the `same` session: steps grow, and nothing follows an end."""
    session, step = columns["session"], columns["step"]
    _check_pairs(
        same & (step[b] <= step[a]),
        b,
        lambda i: (
            f"row {i} is out of order: session {session[i]} comes to step {step[i]} after "
            "an equal or later step. Rows are in time order inside a session and no (session, "
            "step) repeats; sort by (session, step) and drop duplicates."
        ),
    )
    ended = (columns["terminated"][a] | columns["truncated"][a]) & same
    _check_pairs(
        ended,
        b,
        lambda i: (
            f"row {i} follows the end of its session {session[i]}. A row with terminated or "
            "truncated is the last of its session; give what follows a new session id."
        ),
    )


def _check_users(
    session: NDArray[Any],
    user: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    same: NDArray[np.bool_],
) -> None:
    _check_pairs(
        same & (user[a] != user[b]),
        b,
        lambda i: (
            f"row {i} gives session {session[i]} a second user ({user[i]}). A session "
            "belongs to one user; make session ids unique across users."
        ),
    )


def check_prior(columns: Columns, n_sessions: int) -> None:
    """What histories held when sessions began has one row per session."""
    items, responses = columns.get("prior_items"), columns.get("prior_responses")
    if items is not None and len(items) != n_sessions:
        raise LogError(
            f"prior_items has {len(items)} rows for {n_sessions} sessions; it has one row per "
            "session, in order of first appearance."
        )
    if responses is None:
        return
    if items is None:
        raise LogError("prior_responses came without prior_items; pass both or neither.")
    width = columns["responses"].shape[1] if "responses" in columns else 0
    _check_shape("prior_responses", responses, (*items.shape, width))


def check_whole_sessions(
    session: NDArray[Any], step: NDArray[Any], sessions: Groups, why: str
) -> None:
    """No session has missing steps. `why` says what would be wrong without them."""
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
            f"session {session[i]} has missing steps before row {i} (step {step[i]}): "
            f"{why} Keep whole sessions: log.take(np.isin(log.session, chosen_sessions))."
        ),
    )


def _check_pairs(bad: NDArray[np.bool_], row: NDArray[Any], say: Callable[[int], str]) -> None:
    hit = np.flatnonzero(bad)
    if hit.size:
        raise LogError(f"{say(int(row[hit].min()))} ({hit.size} rows break this rule.)")


def _check_shape(name: str, x: NDArray[Any], shape: tuple[int, ...]) -> None:
    if x.shape != shape:
        raise LogError(f"{name} has shape {x.shape}; beside the other columns it must be {shape}.")
