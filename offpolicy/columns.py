"""Whatever array-likes a log is built from, as arrays of its own types; nothing wraps or fills."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy import checks
from offpolicy.errors import LogError
from offpolicy.groups import group


def whole_numbers(name: str, x: ArrayLike, kind: type, *, names: bool = False) -> NDArray[Any]:
    """Whole numbers of the wanted type; strings are numbered in order of appearance."""
    a = np.asarray(x)
    if a.dtype.kind in "iub":
        return _narrowed(name, a, kind)
    if names and a.dtype.kind in "OUST":
        return group(_named(name, a)).code
    try:
        found = a.astype(np.float64)
    except (TypeError, ValueError):
        raise LogError(
            f"{name} holds {a.dtype} entries such as {a.ravel()[0]!r}; it must hold whole numbers. "
            "Map foreign ids to 0..n_items-1 before logging."
        ) from None
    checks.refuse(
        checks.any_of(~(np.isfinite(found) & (found == np.floor(found)))),
        lambda i: (
            f"{name}[{i}] = {a[i].tolist()} is not a whole number. Ids and steps are integers; "
            "write -1 for an empty place."
        ),
    )
    return _narrowed(name, found, kind)


def _narrowed(name: str, a: NDArray[Any], kind: type) -> NDArray[Any]:
    """Whole numbers as the wanted type, none of them wrapped around."""
    low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    checks.refuse(
        checks.any_of((a < low) | (a >= high)),
        lambda i: (
            f"{name}[{i}] = {a[i].tolist()} does not fit {np.dtype(kind)}. Number the ids from 0 "
            "on, or pass them as strings where the column takes names."
        ),
    )
    return a.astype(kind, copy=False)


def _named(name: str, a: NDArray[Any]) -> NDArray[np.str_]:
    """Ids that are names; a missing one is no name."""
    if a.dtype.kind == "O":
        checks.refuse(
            np.array([x is None or x != x for x in a.tolist()], bool),
            lambda i: f"{name}[{i}] is missing. Drop the row, or give it an id of its own.",
        )
    return a.astype("U")


def numbers(name: str, x: ArrayLike) -> NDArray[np.float64]:
    """As float64; what is no number is refused by name."""
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
    """As a float32 matrix, or None."""
    return None if x is None else matrix(numbers(name, x) if _odd(x) else np.asarray(x, np.float32))


def _odd(x: ArrayLike) -> bool:
    return np.asarray(x).dtype.kind not in "fiub"


def item_ids(name: str, x: ArrayLike | None) -> NDArray[np.int32] | None:
    """As int32, or None."""
    return None if x is None else whole_numbers(name, x, np.int32)


def matrix(x: NDArray[Any]) -> NDArray[Any]:
    """(N,) becomes (N, 1)."""
    return x[:, None] if x.ndim == 1 else x


def labels(x: ArrayLike) -> NDArray[Any]:
    """Whole numbers or strings."""
    a = np.asarray(x)
    return a if a.dtype.kind in "iuU" else a.astype("U")
