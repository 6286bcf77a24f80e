"""The two doors of a policy: observations that it chooses for, and logs that it learns from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.observation import Observation, Serving, check_catalogue


def observed(obs: Observation, serving: Serving) -> Observation:
    """The observation as policies and their compiled loops may read it: ids of the catalogue as
    int32, finite numbers as float32, one row of everything for each of B users.

    Raises ValueError, naming the field, for anything else.
    """
    if not isinstance(obs, Observation):
        raise ValueError(
            f"a policy chooses for an Observation, and got {type(obs).__name__}: make one with "
            "observation_of(obs) from what an environment returns"
        )
    items = _ids("history_items", obs.history_items, None)
    n, length = items.shape
    offer = None if obs.candidates is None else _ids("candidates", obs.candidates, n)
    width = serving.n_items if offer is None else offer.shape[1]
    if not width:
        raise ValueError("candidates has no columns: offer at least one item, or None for all")
    allowed = None if obs.eligible is None else _flags(obs.eligible, (n, width))
    check_ids("candidates", offer, serving.n_items)
    check_ids("history_items", items, serving.n_items)
    read: dict[str, Any] = {
        "history_items": np.ascontiguousarray(items, np.int32),
        "history_responses": _numbers("history_responses", obs.history_responses, n, length),
        "user": _numbers("user", obs.user, n),
        "candidates": None if offer is None else np.ascontiguousarray(offer, np.int32),
        "eligible": allowed,
    }
    same = all(getattr(obs, name) is value for name, value in read.items())
    return obs if same else replace(obs, **read)


def check_ids(name: str, ids: NDArray[Any] | None, n_items: int) -> None:
    """Raise ValueError where ids (B, X) are outside -1..n_items-1."""
    if ids is None or (ids.min(initial=0) >= -1 and ids.max(initial=0) < n_items):
        return
    row, column = np.argwhere((ids < -1) | (ids >= n_items))[0]
    raise ValueError(
        f"{name}[{row}, {column}] = {ids[row, column]} is outside -1..{n_items - 1}: give ids "
        f"of the policy's catalogue of {n_items} items, and -1 for an empty place"
    )


def learning_log(log: LoggedDataset, serving: Serving) -> LoggedDataset:
    """The log as learners read it: session by session, and in the order of steps inside each.

    Production logs are in order of time, so that their sessions interleave. Sessions stand in the
    order of their ids: one log gives one policy, in whatever order its rows were written.

    Raises ValueError when the log is of another catalogue than the policy's.
    """
    check_catalogue(log, serving)
    return session_by_session(log)


def session_by_session(log: LoggedDataset) -> LoggedDataset:
    """The same rows by (session, step); the log itself where they stand so already."""
    new = log.session[1:] != log.session[:-1]
    grows = np.where(new, log.session[1:] > log.session[:-1], log.step[1:] > log.step[:-1])
    return log if grows.all() else log.take(np.lexsort((log.step, log.session)))


def _ids(name: str, given: Any, rows: int | None) -> NDArray[Any]:
    ids = _array(name, given)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or rows not in (None, len(ids)):
        raise ValueError(
            f"{name} must be whole numbers, {'(B, H)' if rows is None else f'({rows}, C)'}, got "
            f"{ids.dtype} of shape {ids.shape}: a row of item ids for each user, -1 = empty place"
        )
    return ids


def _numbers(name: str, given: Any, *rows: int) -> NDArray[Any]:
    """Numbers (*rows, X)."""
    x = _array(name, given)
    if x.ndim != len(rows) + 1 or x.shape[:-1] != rows or x.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be numbers ({', '.join(map(str, rows))}, ...): of each user"
            f"{' each item' if len(rows) > 1 else ''}; got {x.dtype} of shape {x.shape}"
        )
    if x.dtype != np.float32:  # else there is nothing to silence, which costs as much as the check
        with np.errstate(over="ignore"):  # what overflows is refused as not finite
            x = x.astype(np.float32)
    x = np.ascontiguousarray(x)
    if not np.isfinite(x).all():
        where = ", ".join(map(str, np.argwhere(~np.isfinite(x))[0].tolist()))
        raise ValueError(
            f"{name}[{where}] is not a finite number of single precision: fill what is not known "
            "as it was filled in the log that the policy learned from"
        )
    return x


def _flags(given: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    flags = _array("eligible", given)
    if flags.shape != shape or not (flags.dtype.kind == "b" or np.isin(flags, (0, 1)).all()):
        raise ValueError(
            f"eligible must be true or false, {shape} for users and candidates, got {flags.dtype} "
            f"of shape {flags.shape}"
        )
    return np.ascontiguousarray(flags, np.bool_)


def _array(name: str, given: Any) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError:
        raise ValueError(f"{name} must be one array, got rows of several lengths") from None
