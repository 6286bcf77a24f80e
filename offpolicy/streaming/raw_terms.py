"""Columns as they stand in a file -> Terms; errors name the file and the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, Terms
from offpolicy.weighting.horizons import cumulative_product


def raw_terms(
    columns: Mapping[str, NDArray[Any]], horizon: str, gamma: float, source: str
) -> Terms:
    """Columns of whole, contiguous, ordered sessions -> Terms."""
    session, reward = columns["session"], columns["reward"].astype(np.float64, copy=False)
    _validate(~np.isfinite(reward), "reward", reward, session, source, "rewards are finite")
    ratio, kept = _ratio(columns, source), columns.get("row_weight")
    if kept is not None:
        bad = ~((kept > 0) & np.isfinite(kept))
        _validate(bad, "row_weight", kept, session, source, "it is 1 / the chance to be kept")
    if horizon == "one_step":
        unit = columns[unit_column(columns)]
        return Terms(ratio, reward, None, None, unit, horizon="one_step", row_weight=kept)
    step = columns["step"].astype(np.int64, copy=False)
    part = step != columns["step"]
    _validate(part, "step", columns["step"], session, source, "steps are whole numbers")
    start = np.ones(len(session), bool)
    start[1:] = session[1:] != session[:-1]
    if "user" in columns:  # a session has one user
        start[1:] |= columns["user"][1:] != columns["user"][:-1]
    code = np.cumsum(start) - 1
    _check_steps(step, start, session, source)
    running = cumulative_product(ratio, code)
    before = np.ones_like(running)
    before[1:] = np.where(start[1:], 1.0, running[:-1])
    if horizon == "trajectory":
        end = np.append(np.flatnonzero(start)[1:], len(session)) - 1
        running = before = running[end][code]
    if kept is not None:
        off = kept != kept[np.flatnonzero(start)][code]
        _validate(off, "row_weight", kept, session, source, "it is one number in each session")
    discount = None if gamma == 1 else gamma**step
    unit = columns.get("user", code)
    return Terms(
        running, reward, None, None, unit, before, discount, step, code, horizon, "steps",
        row_weight=kept,
    )  # fmt: skip


def unit_column(columns: Mapping[str, Any]) -> str:
    """The name of the column of independent units."""
    return "user" if "user" in columns else "session"


def _ratio(columns: Mapping[str, NDArray[Any]], source: str) -> F64:
    if "weight" in columns:
        ratio = columns["weight"].astype(np.float64, copy=False)
        bad = ~((ratio >= 0) & np.isfinite(ratio))
        what, x = "weight", ratio
    else:
        x = columns["propensity"].astype(np.float64, copy=False)
        bad = ~((x > 0) & (x <= 1 + 1e-6))
        with np.errstate(divide="ignore", invalid="ignore"):
            target = columns["target"].astype(np.float64, copy=False)
            ratio = target / x
        off = ~((target >= 0) & (target <= 1 + 1e-6) & np.isfinite(ratio))
        what, x, bad = ("propensity", x, bad) if bad.any() else ("target", target, off)
    rule = "propensities are in (0, 1], target probabilities in [0, 1], weights finite"
    _validate(bad, what, x, columns["session"], source, rule)
    return np.asarray(ratio)


def _validate(
    bad: NDArray[np.bool_],
    what: str,
    x: NDArray[Any],
    session: NDArray[Any],
    source: str,
    rule: str,
) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LogError(
            f"{source}: {what} of session {session[row]} is {x[row]:.6g}; {rule}. Fix or drop the "
            "row."
        )


def _check_steps(
    step: NDArray[np.int64], start: NDArray[np.bool_], session: NDArray[Any], source: str
) -> None:
    bad = np.where(start, step != 0, np.diff(step, prepend=0) != 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LogError(
            f"{source}: session {session[row]} has step {step[row]} out of order, or its rows "
            "do not stand together. Run `longplay compact` first, or drop sessions with missing "
            "steps or with several users."
        )
