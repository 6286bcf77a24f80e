"""The rules of a decision log. Each names the first row that breaks it and the mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.groups import Groups, in_group_order

if TYPE_CHECKING:
    from offpolicy.log.dataset import LoggedDataset

ROUNDING = 1e-6  # probabilities that passed through float32 may exceed 1 by this much
PRODUCT = 1e-4  # relative: how far the product of the places may stand from the propensity


def validate(bad: NDArray[np.bool_] | np.bool_, say: Callable[[int], str]) -> None:
    """Raise LogError about the first bad row, counting the others."""
    rows = np.flatnonzero(bad)
    if rows.size:
        row = int(rows[0])
        raise LogError(f"{say(row)} ({rows.size} of {np.size(bad)} rows break this rule.)")


def any_of(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, ...) -> (N,): does any entry of the row break the rule."""
    return np.asarray(bad.any(axis=tuple(range(1, bad.ndim)))) if bad.ndim > 1 else bad


def check_lengths(log: LoggedDataset, names: tuple[str, ...]) -> None:
    """All columns have one entry per decision, and there is at least one decision."""
    lengths = {k: len(v) for k in names if (v := getattr(log, k)) is not None}
    if len(set(lengths.values())) > 1:
        raise LogError(
            f"columns differ in length: {lengths}; every column is one row per decision. "
            "Build all columns from the same rows."
        )
    if lengths["session"] == 0:
        raise LogError("the log has no rows; log at least one decision, or check the filter.")


def check_propensities(log: LoggedDataset) -> None:
    """Propensities lie in (0, 1] and the places multiply up to the slate."""
    p = log.propensity
    if log.propensity_source not in ("logged", "estimated"):
        raise LogError(f"propensity_source = {log.propensity_source!r}; it is logged or estimated")
    validate(
        ~((p > 0) & (p <= 1 + ROUNDING)),
        lambda i: (
            f"propensity[{i}] = {p[i]:.6g} is outside (0, 1]. Log the probability that the serving "
            "policy gave the slate it served, at serve time; if a rule overrode the policy there, "
            "drop those rows with log.take(~overridden) and say so in the report."
        ),
    )
    if log.position_propensity is not None:
        _check_places(log, log.position_propensity)


def _check_places(log: LoggedDataset, pp: NDArray[np.float64]) -> None:
    """Each place's probability lies in (0, 1], and together they make the slate's."""
    _check_shape("position_propensity", pp, log.slate.shape)
    validate(
        any_of(~((pp > 0) & (pp <= 1 + ROUNDING))),
        lambda i: (
            f"position_propensity[{i}] = {pp[i].tolist()} leaves (0, 1]. Each place carries the "
            "probability of its item given the places above; an empty place carries 1."
        ),
    )
    product, p = pp.prod(1), log.propensity
    validate(
        np.abs(product - p) > PRODUCT * p,
        lambda i: (
            f"position_propensity[{i}] multiplies to {product[i]:.6g} but propensity[{i}] = "
            f"{p[i]:.6g}. The product of the places is the propensity of the slate; read both "
            "off the same distribution."
        ),
    )


def check_numbers(log: LoggedDataset) -> None:
    """Rewards, responses, context are finite."""
    mend = "Fill what is known to be zero before logging, drop rows whose outcome is unknown."
    for name in ("reward", "position_reward", "responses", "context", "prior_responses"):
        x = getattr(log, name)
        if x is None or bool(np.isfinite(x).all()):
            continue
        validate(
            any_of(~np.isfinite(x)),
            lambda i, x=x, name=name: (  # type: ignore[misc]
                f"{name}[{i}] = {x[i].tolist()} is not a finite number. {mend}"
            ),
        )
    if log.position_reward is not None:
        _check_shape("position_reward", log.position_reward, log.slate.shape)
    if log.candidate_propensity is not None:
        width = log.n_items if log.candidates is None else log.candidates.shape[1]
        cp = log.candidate_propensity
        _check_shape("candidate_propensity", cp, (len(cp), width))
        validate(
            any_of(~((cp >= 0) & (cp <= 1 + ROUNDING))),
            lambda i: (
                f"candidate_propensity[{i}] leaves [0, 1]. It is the probability of every "
                "candidate at the first place; an empty candidate carries 0."
            ),
        )


def check_items(log: LoggedDataset) -> None:
    """Item ids belong to the catalogue and no slate or candidate set repeats one."""
    for name in ("slate", "candidates", "consumed", "prior_items"):
        ids = getattr(log, name)
        if ids is not None:
            _check_known(name, ids, log.n_items)
    for name in ("slate", "candidates"):
        ids = getattr(log, name)
        if ids is not None and ids.shape[1] > 1:
            _check_repeats(name, ids)
    if log.candidates is not None:
        _check_offered(log.slate, log.candidates)


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
            "place only; drop the repeated place (-1) and its propensity before logging."
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


def check_sessions(log: LoggedDataset, sessions: Groups) -> None:
    """Steps grow inside a session, nothing follows an end, a session has one user."""
    validate(
        log.step < 0,
        lambda i: f"step[{i}] = {log.step[i]} is negative. Steps count from 0 in each session.",
    )
    order = (
        np.argsort(sessions.code, kind="stable")
        if not sessions.contiguous
        else np.arange(len(log.step))
    )
    same = sessions.code[order[:-1]] == sessions.code[order[1:]]
    _check_order(log, order[:-1], order[1:], same)
    if log.user is not None:
        _check_users(log, log.user, order[:-1], order[1:], same)


def _check_order(
    log: LoggedDataset, a: NDArray[Any], b: NDArray[Any], same: NDArray[np.bool_]
) -> None:
    """Rows a and the next rows b, of the `same` session: steps grow, and nothing follows an end."""
    _check_pairs(
        same & (log.step[b] <= log.step[a]),
        b,
        lambda i: (
            f"row {i} is out of order: session {log.session[i]} comes to step {log.step[i]} after "
            "an equal or later step. Rows are in time order inside a session and no (session, "
            "step) repeats; sort by (session, step) and drop duplicates."
        ),
    )
    ended = (log.terminated[a] | log.truncated[a]) & same
    _check_pairs(
        ended,
        b,
        lambda i: (
            f"row {i} follows the end of its session {log.session[i]}. A row with terminated or "
            "truncated is the last of its session; give what follows a new session id."
        ),
    )


def _check_users(
    log: LoggedDataset,
    user: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    same: NDArray[np.bool_],
) -> None:
    _check_pairs(
        same & (user[a] != user[b]),
        b,
        lambda i: (
            f"row {i} gives session {log.session[i]} a second user ({user[i]}). A session "
            "belongs to one user; make session ids unique across users."
        ),
    )


def check_prior(log: LoggedDataset, n_sessions: int) -> None:
    """What histories held when sessions began has one row per session."""
    items, responses = log.prior_items, log.prior_responses
    if items is not None and len(items) != n_sessions:
        raise LogError(
            f"prior_items has {len(items)} rows for {n_sessions} sessions; it has one row per "
            "session, in order of first appearance."
        )
    if responses is None:
        return
    if items is None:
        raise LogError("prior_responses came without prior_items; pass both or neither.")
    width = 0 if log.responses is None else log.responses.shape[1]
    _check_shape("prior_responses", responses, (*items.shape, width))


def require_whole_sessions(log: LoggedDataset, why: str) -> None:
    """Refuse sessions with missing steps. `why` says what would be wrong without them."""
    order = in_group_order(log.groups, log.step)
    code = log.groups.code if order is None else log.groups.code[order]
    step = log.step if order is None else log.step[order]
    start = np.ones(len(code), bool)
    start[1:] = code[1:] != code[:-1]
    at = np.flatnonzero(start)
    wanted = np.arange(len(code)) - np.repeat(at, np.diff(np.append(at, len(code))))
    rows = np.arange(len(code)) if order is None else order
    _check_pairs(
        step != wanted,
        rows,
        lambda i: (
            f"session {log.session[i]} has missing steps before row {i} (step {log.step[i]}): "
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
