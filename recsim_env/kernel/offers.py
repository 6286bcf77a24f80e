"""What is on offer: candidates drawn, slates of them checked. Compiled once for all models."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.jit import njit, njit_cached
from recsim_env.random import GOLDEN, OFFER, UNIT, block, integer_at, mixed, weighted_at

TRIES, TRIES_PER_ITEM = 4096, 32  # numbers drawn for an offer before its items are sought by mass


@njit
def is_open(item: int, clock: int, group: int, offer: Any) -> Any:
    """Whether the item may be served to this group at this tick."""
    there = offer.since.size == 0 or (offer.since[item] <= clock < offer.until[item])
    return there and (offer.eligible.size == 0 or offer.eligible[group, item])


@njit
def is_ruled(offer: Any) -> Any:
    """Whether some item may not be served to somebody at some time."""
    return offer.since.size > 0 or offer.eligible.size > 0


@njit
def draw(
    candidates: Any, key: Any, step: int, clock: int, group: int, offer: Any, seen: Any
) -> None:
    """Draw distinct candidates (C,) for a decision; `seen` (A,) is zero, and is again after.

    Items are drawn until one is new and open. Where that takes long, the rest are drawn by `sought`
    from the same distribution. Raises RuntimeError where there are too few: a world is checked for
    that when it is made.
    """
    cdf, distinct, counter = offer.cdf, False, block(step, OFFER)
    if cdf.size == 0 and not is_ruled(offer):  # mostly the first numbers are distinct items already
        distinct = True
        for c in range(candidates.size):
            candidates[c] = integer_at(key, counter + np.uint64(c + 1), seen.size)
        for c in range(candidates.size):
            distinct = distinct and not seen[candidates[c]]
            seen[candidates[c]] = True
        for c in range(candidates.size):
            seen[candidates[c]] = False
    if distinct:
        return
    left = TRIES + TRIES_PER_ITEM * seen.size
    for c in range(candidates.size):
        item = -1
        while item < 0 or seen[item] or not is_open(item, clock, group, offer):
            counter += np.uint64(1)
            left -= 1
            if left < 0:
                item = sought(key, counter, clock, group, offer, seen)
                break
            if cdf.size:
                item = weighted_at(key, counter, cdf)
            else:
                item = integer_at(key, counter, seen.size)
        seen[item] = True
        candidates[c] = item
    for c in range(candidates.size):
        seen[candidates[c]] = False


@njit
def mass(item: int, offer: Any) -> float:
    """Chance of an item to be drawn, up to a factor."""
    if offer.cdf.size == 0:
        return 1.0
    return offer.cdf[item] - (offer.cdf[item - 1] if item > 0 else 0.0)  # type: ignore[no-any-return]


@njit
def sought(key: Any, counter: Any, clock: int, group: int, offer: Any, seen: Any) -> int:
    """An item that is open and not `seen` (A,), in proportion to its mass: what drawing until one
    comes up gives."""
    total, found = 0.0, -1
    for item in range(seen.size):
        if not seen[item] and is_open(item, clock, group, offer):
            total += mass(item, offer)
    rest = float(mixed(key + counter * GOLDEN) >> np.uint64(11)) * UNIT * total
    for item in range(seen.size):
        if not seen[item] and is_open(item, clock, group, offer) and mass(item, offer) > 0.0:
            found = item
            rest -= mass(item, offer)
            if rest < 0.0:
                break
    if found < 0:
        raise RuntimeError("too few items are open to fill an offer: was the catalogue changed?")
    return found


@njit
def all_different(choices: Any, size: int) -> Any:
    """Whether all choices (K,) are different and in 0..size-1; without a branch, as most are."""
    plain = True
    for k in range(choices.size):
        plain &= (choices[k] >= 0) & (choices[k] < size)
        for j in range(k):
            plain &= choices[j] != choices[k]
    return plain


@njit_cached
def resolve(
    actions: Any,
    clocks: Any,
    groups: Any,
    candidates: Any,
    offer: Any,
    size: int,
    fix: bool,
    slates: Any,
    invalid: Any,
) -> int:
    """Write the item ids of `actions` (N, K) into `slates`; the first bad row, or -1.

    A position is bad when its index is outside 0..size-1, repeats one above, or names an item that
    is not open to the user's group in `groups` (N,) at the tick in `clocks` (N,). With `fix`, bad
    positions get the first choices that are none of that, rows that had one are marked in `invalid`
    (N,), and -1 is returned; the row is bad where there are too few of them.
    """
    drawn, ruled = candidates.shape[1] > 0, is_ruled(offer)
    for row in range(actions.shape[0]):
        if not ruled and all_different(actions[row], size):
            for k in range(actions.shape[1]):
                a = actions[row, k]
                slates[row, k] = candidates[row, a] if drawn else a
            continue
        spare = -1
        for k in range(actions.shape[1]):
            a = actions[row, k]
            while True:
                bad = a < 0 or a >= size
                item = -1
                if not bad:
                    item = candidates[row, a] if drawn else a
                    bad = not is_open(item, clocks[row], groups[row], offer)
                for j in range(k):
                    bad = bad or slates[row, j] == item
                if not bad:
                    break
                if not fix:
                    return row
                invalid[row] = True
                spare += 1
                if spare >= size:
                    return row
                a = spare
            slates[row, k] = item
    return -1
