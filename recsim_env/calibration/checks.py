"""What a log of consumption must hold before a world is fitted to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Histories = Sequence[NDArray[np.integer]]
FEWEST_USERS = 10
FEWEST_ITEMS = 3  # popularity takes one direction of the item vectors; two more leave a contrast


def usable(histories: Histories, n_items: int) -> list[NDArray[np.integer]]:
    """The histories of two items or more.

    Raises:
        ValueError: an id that is no item, too few users, or too few different items.
    """
    arrays = [np.asarray(h) for h in histories]
    for user, items in enumerate(arrays):
        whole = items.ndim == 1 and (items.dtype.kind in "iu" or not len(items))
        wrong = np.flatnonzero((items < 0) | (items >= n_items)) if whole else np.zeros(1, int)
        if wrong.size:
            what = f"item {items[wrong[0]]}" if whole else f"{items.dtype} of shape {items.shape}"
            raise ValueError(
                f"histories[{user}] holds {what}; a history is a list of item ids "
                f"0..{n_items - 1}, whole numbers in time order"
            )
    used = [items for items in arrays if len(items) >= 2]
    if len(used) < FEWEST_USERS:
        raise ValueError(
            f"{len(used)} users have 2 items or more: a world needs at least {FEWEST_USERS}"
        )
    different = len(np.unique(np.concatenate(used)))
    if different < FEWEST_ITEMS:
        raise ValueError(
            f"users took {different} different items: a world needs at least {FEWEST_ITEMS}, or "
            "there is no choice to fit"
        )
    return used


def check_topics(topics: NDArray[np.integer] | None, n_items: int) -> None:
    """Raise ValueError unless there is a topic 0, 1, ... for each item, or none at all."""
    if topics is None:
        return
    given = np.asarray(topics)
    if given.shape != (n_items,) or given.dtype.kind not in "iu" or given.min() < 0:
        raise ValueError(
            f"topics are {given.dtype} of shape {given.shape}; pass one whole number from 0 on for "
            f"each of the {n_items} items, or None"
        )
