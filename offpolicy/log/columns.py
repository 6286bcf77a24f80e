"""Whatever array-likes a log is built from, as arrays of its own types; nothing wraps or fills."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.log import checks
from offpolicy.log.groups import group

TABLES = {
    "slate": 2, "position_propensity": 2, "position_reward": 2, "candidates": 2,
    "candidate_propensity": 2, "responses": 2, "context": 2, "prior_items": 2, "prior_responses": 3,
}  # fmt: skip


def check_shapes(columns: Mapping[str, NDArray[Any]]) -> None:
    """Columns are (N,), tables (N, width): nothing is broadcast by accident."""
    for name, x in columns.items():
        wanted = TABLES.get(name, 1)
        if x.ndim != wanted:
            shape = ("(N,), one entry", "(N, width), one row", "(S, length, width), one table")
            raise LogError(
                f"{name} has shape {x.shape}; it is {shape[wanted - 1]} each. Ravel a column that "
                "stands in a table of width 1; cut a larger table into its columns."
            )


def whole_numbers(name: str, x: ArrayLike, kind: type, *, names: bool = False) -> NDArray[Any]:
    """Whole numbers of the wanted type; names get numbers of their own (`_numbered`)."""
    a = np.asarray(x)
    if a.dtype.kind in "iub":
        return _narrowed(name, a, kind)
    if names and a.dtype.kind in "OUST":
        return _numbered(_named(name, a))
    try:
        whole = a.astype(np.float64)
    except (TypeError, ValueError):
        raise LogError(
            f"{name} holds {a.dtype} entries such as {a.ravel()[0]!r}; it must hold whole numbers. "
            "Map foreign ids to 0..n_items-1 before logging."
        ) from None
    checks.validate(
        checks.any_of(~(np.isfinite(whole) & (whole == np.floor(whole)))),
        lambda i: (
            f"{name}[{i}] = {a[i].tolist()} is not a whole number. Ids and steps are integers; "
            "write -1 for an empty position."
        ),
    )
    return _narrowed(name, whole, kind)


def _narrowed(name: str, a: NDArray[Any], kind: type) -> NDArray[Any]:
    """Whole numbers as the wanted type, none of them wrapped around."""
    low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    checks.validate(
        checks.any_of((a < low) | (a >= high)),
        lambda i: (
            f"{name}[{i}] = {a[i].tolist()} does not fit {np.dtype(kind)}. Number the ids from 0 "
            "on, or pass them as strings where the column takes names."
        ),
    )
    return a.astype(kind, copy=False)


def _named(name: str, a: NDArray[Any]) -> NDArray[np.str_]:
    """Ids that are names; a missing one is no name."""
    check_no_missing(name, a, "Drop the row, or give it an id of its own.")
    return a.astype("U")


def _numbered(a: NDArray[np.str_]) -> NDArray[np.int64]:
    """A name's number is its hash: the same in every log, so that logs and parts can be joined."""
    names = group(a)
    heads = [blake2b(s.encode(), digest_size=8).digest() for s in a[names.first].tolist()]
    return np.frombuffer(b"".join(heads), np.int64)[names.code] if heads else names.code


def check_no_missing(name: str, a: NDArray[Any], fix: str) -> None:
    """No entry is None or not a number."""
    if a.dtype.kind in "fO":
        gone = np.array([x is None or x != x for x in a.ravel().tolist()], bool).reshape(a.shape)
        checks.validate(checks.any_of(gone), lambda i: f"{name}[{i}] is missing. {fix}")


def numbers(name: str, x: ArrayLike) -> NDArray[np.float64]:
    """As float64; raises LogError, by name, where an entry is no number."""
    kind = np.asarray(x).dtype
    if kind.kind in "cmM":
        raise LogError(f"{name} holds {kind}, no real numbers; log the number that is meant.")
    try:
        return np.asarray(x, np.float64)
    except (TypeError, ValueError) as error:
        raise LogError(
            f"{name} holds entries that are not numbers ({error}); a missing {name} is never "
            "filled in. Drop those rows, or log the number."
        ) from None


def numbers2(name: str, x: ArrayLike | None) -> NDArray[np.float64] | None:
    """As a float64 matrix, or None."""
    return None if x is None else matrix(numbers(name, x))


def numbers32(name: str, x: ArrayLike | None) -> NDArray[np.float32] | None:
    """As a float32 table, or None; what overflows becomes infinite, and the log's checks raise."""
    if x is None:
        return None
    table = x if isinstance(x, np.ndarray) and x.dtype == np.float32 else numbers(name, x)
    with np.errstate(over="ignore"):
        return matrix(table.astype(np.float32, copy=False))


def flags(name: str, x: ArrayLike) -> NDArray[np.bool_]:
    """True and False, or 1 and 0; words and missing entries are neither."""
    a = np.asarray(x)
    if a.dtype.kind == "b":
        return a
    if a.dtype.kind in "iuf":
        known = (a == 0) | (a == 1)
    else:
        each = [isinstance(v, bool | int | float) and v in (0, 1) for v in a.ravel().tolist()]
        known = np.array(each, bool).reshape(a.shape)
    checks.validate(
        checks.any_of(~known),
        lambda i: (
            f"{name}[{i}] = {a[i]} is neither true nor false. Write booleans, or 1 and 0; a word "
            "such as 'False' would count as true."
        ),
    )
    return a.astype(bool)


def item_ids(name: str, x: ArrayLike | None) -> NDArray[np.int32] | None:
    """As int32, or None."""
    return None if x is None else whole_numbers(name, x, np.int32)


def matrix(x: NDArray[Any]) -> NDArray[Any]:
    """(N,) becomes (N, 1)."""
    return x[:, None] if x.ndim == 1 else x


def labels(x: ArrayLike) -> NDArray[Any]:
    """Whole numbers or strings; who has no name is nobody's."""
    a = np.asarray(x)
    return a if a.dtype.kind in "iuU" else _named("logger", a)
