"""The rules of a decision log. Each names the first row that breaks it, and the fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError

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
    if bad.ndim > 1 and not bad.any():  # mostly, and found at a tenth of the cost
        return np.zeros(len(bad), np.bool_)
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
    """Rewards, responses, context are finite, row weights above 0."""
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
    if "row_weight" in columns:
        h = columns["row_weight"]
        validate(
            ~((h > 0) & np.isfinite(h)),
            lambda i: (
                f"row_weight[{i}] = {h[i]:.6g} is not above 0 and finite. It is 1 / the chance "
                "with which the row was kept; a row that was never kept cannot be in the log."
            ),
        )
    if "position_reward" in columns:
        _check_shape("position_reward", columns["position_reward"], columns["slate"].shape)
    if "candidate_propensity" in columns:
        width = columns["candidates"].shape[1] if "candidates" in columns else n_items
        cp = columns["candidate_propensity"]
        _check_shape("candidate_propensity", cp, (len(cp), width))
        inside = cp.min(initial=0) >= 0 and cp.max(initial=0) <= 1 + ROUNDING  # no NaN is
        validate(
            np.zeros(len(cp), np.bool_) if inside else any_of(~((cp >= 0) & (cp <= 1 + ROUNDING))),
            lambda i: (
                f"candidate_propensity[{i}] leaves [0, 1]. It is the probability of every "
                "candidate at the first position; an empty candidate carries 0."
            ),
        )


def check_items(columns: Columns, n_items: int, *, repeats: bool) -> None:
    """Item ids belong to the catalogue; no candidate set repeats one, and no slate where the world
    shows an item once."""
    for name in ("slate", "candidates", "consumed", "prior_items"):
        if name in columns:
            _check_known(name, columns[name], n_items)
    for name in ("candidates",) if repeats else ("slate", "candidates"):
        if name in columns and columns[name].shape[1] > 1:
            _check_repeats(name, columns[name])
    if "candidates" in columns:
        _check_offered(columns["slate"], columns["candidates"])


def _check_known(name: str, ids: NDArray[Any], n_items: int) -> None:
    if ids.min(initial=0) >= -1 and ids.max(initial=-1) < n_items:
        return
    bad = any_of((ids < -1) | (ids >= n_items))
    from_1 = ids.max(initial=0) == n_items and ids[ids >= 0].min(initial=n_items) == 1
    why = "The ids seem to start at 1: subtract 1 from each. " if from_1 else ""
    validate(
        bad,
        lambda i: (
            f"{name}[{i}] = {ids[i].tolist()} holds an unknown item. Ids run from 0 to "
            f"n_items - 1 = {n_items - 1}, -1 is empty; map foreign ids before logging, "
            f"or pass the right n_items. {why}"
        ),
    )


def _check_repeats(name: str, ids: NDArray[Any]) -> None:
    validate(
        repeats(ids),
        lambda i: (
            f"{name}[{i}] = {ids[i].tolist()} repeats an item. An item stands in one "
            "position only; drop the repeated position (-1) and its propensity before logging, or "
            "pass repeats=True where the world does show an item several times."
        ),
    )


def _check_offered(slate: NDArray[Any], offered: NDArray[Any]) -> None:
    if all(_all_offered(s, offered) for s in slate.T):
        return
    shown = [(s >= 0) & ~(offered == s[:, None]).any(1) for s in slate.T]
    validate(
        np.stack(shown, axis=1).any(1),
        lambda i: (
            f"slate[{i}] = {slate[i].tolist()} shows an item that candidates[{i}] did not "
            "offer. Log the candidates the policy chose from, or leave the column out."
        ),
    )


def _all_offered(shown: NDArray[Any], offered: NDArray[Any]) -> bool:
    """Whether each item of a place (N,) is one of the row's offer (N, C), which repeats none: then
    as many entries match as there are rows."""
    matches = np.count_nonzero(offered == shown[:, None])
    return bool(shown.min(initial=0) >= 0) and matches == len(shown)


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
    return any_of(twice)


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


def _check_shape(name: str, x: NDArray[Any], shape: tuple[int, ...]) -> None:
    if x.shape != shape:
        raise LogError(f"{name} has shape {x.shape}; beside the other columns it must be {shape}.")
