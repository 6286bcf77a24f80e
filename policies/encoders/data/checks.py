"""The rules of sequences. Each names the first entry that breaks it, and the fix."""

from __future__ import annotations

from collections.abc import Sized
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.encoders.data.columns import real_numbers

MOST_ITEMS = 1 << 31  # ids are int32
ITEMS = (
    "Code items as 0..n_items-1, other ids by names, items = np.unique(ids, return_inverse=True) "
    "and n_items = len(names); drop rows without an item."
)
USERS = (
    "Code users as whole numbers, names by names, users = np.unique(users, return_inverse=True); "
    "drop rows without a user."
)
OFFSETS = "Offsets are the places where each user's events begin and end."
REWARDS = "Fill rewards that are known, drop the rows of the others, or leave all rewards out."


def catalogue_size(n_items: Any) -> int:
    """A whole number of items that 32-bit ids can name."""
    whole = isinstance(n_items, Integral) or (isinstance(n_items, float) and n_items.is_integer())
    if not whole or not 1 <= n_items <= MOST_ITEMS:
        raise ValueError(
            f"n_items = {n_items!r}: a catalogue has a whole number of items, at least one and at "
            f"most 2**31, for ids are 32-bit. {ITEMS}"
        )
    return int(n_items)


def rewards32(name: str, values: ArrayLike) -> NDArray[np.float32]:
    """(T,) finite rewards as float32."""
    numbers = real_numbers(name, values, REWARDS)
    with np.errstate(over="ignore"):  # what overflows is refused as not finite
        return np.asarray(real_numbers(name, numbers.astype(np.float32), REWARDS))


def check_length(name: str, column: Sized, wanted: int, each: str) -> None:
    """There is one entry for each event, list or sequence."""
    if len(column) != wanted:
        raise ValueError(
            f"{name} has {len(column)} entries for {wanted} {each}: pass one for each, made from "
            "the same rows"
        )


def check_offsets(offsets: NDArray[np.int64], n_events: int) -> None:
    """Offsets rise from 0 to the number of events."""
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != n_events:
        raise ValueError(f"offsets must run from 0 to the {n_events} events, one more than users")
    if (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets fall after user {int(np.argmax(np.diff(offsets) < 0))}")


def check_items(items: NDArray[Any], offsets: NDArray[np.int64], n_items: int) -> None:
    """Every item is in the catalogue."""
    wrong = np.flatnonzero((items < 0) | (items >= n_items))
    if wrong.size:
        user, event = _place(int(wrong[0]), offsets)
        raise ValueError(
            f"user {user}, event {event}: item {items[wrong[0]]} is outside 0..{n_items - 1} "
            f"({wrong.size} of {len(items)} events). {ITEMS}"
        )


def check_features(features: NDArray[np.float32], n_items: int) -> None:
    """Features are a finite row for each item."""
    if features.ndim != 2 or len(features) != n_items:
        raise ValueError(f"item_features has shape {features.shape} for {n_items} items")
    wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if wrong.size:
        raise ValueError(
            f"item_features of item {int(wrong[0])} are not finite ({wrong.size} of {n_items} "
            "items): fill what is not known, for instance with the column's mean"
        )


def check_order(keys: NDArray[Any], offsets: NDArray[np.int64]) -> None:
    """Times do not decrease inside a user."""
    falls = keys[1:] < keys[:-1]
    starts = offsets[(offsets > 0) & (offsets < len(keys))]
    falls[starts - 1] = False
    if falls.any():
        user, event = _place(int(np.argmax(falls)) + 1, offsets)
        raise ValueError(
            f"user {user}: event {event} is older than the one before it. "
            "Sort each user's events by time, or build with Sequences.from_events."
        )


def _place(at: int, offsets: NDArray[np.int64]) -> tuple[int, int]:
    """The user of an event, and its number inside the user."""
    user = int(np.searchsorted(offsets, at, side="right")) - 1
    return user, at - int(offsets[user])
