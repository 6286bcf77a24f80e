"""The loops over users. They are ordinary functions that call a user model's functions by name;

`kernel.compiled` puts the functions of one model behind those names and compiles the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.jit import njit, njit_cached
from recsim_env.memory import copy
from recsim_env.random import BEGIN, OFFER, RESPOND, derive, integer, integer_at, turn, weighted
from recsim_env.state import SLACK

BLOCK = 64  # users that pass through a step together: their records stay in the cache

# What the loops call; `compiled` puts a model's own functions in their place.
_BOUND_LATER: Any = None
sample = respond = advance = leaves = observe = score = worth = plan = _BOUND_LATER
none = plan_none = remember = serve = draw = look = start = _BOUND_LATER


@njit
def is_open(item: int, clock: int, since: Any, until: Any) -> Any:
    """Whether the item may be served at this tick."""
    return since.size == 0 or (since[item] <= clock < until[item])


def _remember(row: int, live: Any, item: int, response: Any) -> None:
    """The history moves on by one consumed item; at the end of its room it goes to the front."""
    room = live.items.shape[1]
    if room == 0:
        return
    user, length, width = live.users[row], room - SLACK, response.size
    if user.head == SLACK:
        first = row * room + SLACK + 1
        copy(live.items, row * room, live.items, first, length - 1)
        copy(
            live.responses, row * room * width, live.responses, first * width, (length - 1) * width
        )
        user.head = 0
    else:
        user.head += 1
    last = user.head + length - 1
    live.items[row, last] = item
    for r in range(width):
        live.responses[row, last * width + r] = response[r]


def _serve(
    row: int, live: Any, world: Any, slates: Any, limit: int, outcome: Any, scores: Any
) -> None:
    """One user answers a slate (K,) of item ids; the outcome's row is blank before."""
    user = live.users[row]
    response, paid = outcome.responses[row], outcome.position_reward[row]
    turn(user, RESPOND)
    place = respond(user, world, slates[row], scores, response, paid)
    item = slates[row, place] if place >= 0 else -1
    reward = advance(user, world, item, response)
    for k in range(paid.size):
        reward += paid[k]
    if item >= 0:
        user.watched += response[1]
        user.enjoyed += response[1] * response[2]
        remember(row, live, item, response)
    gone = leaves(user, world)
    user.step += 1
    user.clock += 1
    outcome.consumed[row] = item
    outcome.reward[row] = reward
    outcome.terminated[row] = gone
    outcome.truncated[row] = not gone and user.step >= limit


def _draw(row: int, live: Any, offer: Any, seen: Any) -> None:
    """Draw distinct candidates for the coming decision; `seen` (A,) is zero, and is again after."""
    user, candidates, distinct = live.users[row], live.candidates[row], False
    cdf, since, until = offer.cdf, offer.since, offer.until
    turn(user, OFFER)
    if cdf.size == 0 and since.size == 0:  # mostly the first numbers are distinct items already
        key, counter, distinct = user.key, user.counter, True
        for c in range(candidates.size):
            candidates[c] = integer_at(key, counter + np.uint64(c + 1), seen.size)
        for c in range(candidates.size):
            distinct = distinct and not seen[candidates[c]]
            seen[candidates[c]] = True
        for c in range(candidates.size):
            seen[candidates[c]] = False
    if distinct:
        return
    for c in range(candidates.size):
        item = weighted(user, cdf) if cdf.size else integer(user, seen.size)
        while seen[item] or not is_open(item, user.clock, since, until):
            item = weighted(user, cdf) if cdf.size else integer(user, seen.size)
        seen[item] = True
        candidates[c] = item
    for c in range(candidates.size):
        seen[candidates[c]] = False


def _look(row: int, live: Any, features: Any, world: Any, view: Any, to: int) -> None:
    """Copy what the agent may see of a user into row `to` of an observation, oldest item first."""
    user, length, room = live.users[row], view.history_items.shape[1], live.items.shape[1]
    width = view.history_responses.shape[1] // max(length, 1)
    first, sums = row * room + user.head, view.user.shape[1] - 3
    copy(view.history_items, to * length, live.items, first, length)
    copy(view.history_responses, to * length * width, live.responses, first * width, length * width)
    observe(user, world, view.user[to])
    view.user[to, sums] = user.step
    view.user[to, sums + 1] = user.watched
    view.user[to, sums + 2] = user.enjoyed
    size, wide = live.candidates.shape[1], features.shape[1]
    copy(view.candidates, to * size, live.candidates, row * size, size)
    for c in range(size):
        at = (to * size + c) * wide
        copy(view.candidate_features, at, features, live.candidates[row, c] * wide, wide)


def _start(row: int, live: Any, offer: Any, world: Any) -> None:
    """The slot's next session: luck, calendar, person and first history of its own."""
    people, user = offer.past_items.shape[0], live.users[row]
    user.session += 1
    user.key = derive(user.stream, user.session)
    user.clock = user.session * offer.pace
    user.step = 0
    user.head = 0
    user.watched = 0.0
    user.enjoyed = 0.0
    turn(user, BEGIN)
    user.person = integer(user, people) if people else -1
    sample(user, world)
    length = offer.past_items.shape[1]
    for h in range(length):
        live.items[row, h] = offer.past_items[user.person, h] if people else -1
    for h in range(offer.past_responses.shape[1]):
        live.responses[row, h] = offer.past_responses[user.person, h] if people else 0.0


def _begin(
    rows: Any, fresh: bool, live: Any, offer: Any, world: Any, view: Any, scratch: Any
) -> None:
    """Observe these rows, after starting the next session in each if `fresh`."""
    for row in rows:
        if fresh:
            start(row, live, offer, world)
        if scratch.seen.size > 0:
            draw(row, live, offer, scratch.seen)
        look(row, live, offer.features, world, view, row)


def _step(
    first: int,
    last: int,
    idle: Any,
    again: bool,
    live: Any,
    offer: Any,
    world: Any,
    slates: Any,
    limit: int,
    outcome: Any,
    view: Any,
    final: Any,
    scratch: Any,
) -> int:
    """One decision of users first..last-1: they answer, are made the next offer and observed.

    The idle do not answer, their next session starts. With `again` a session that ends is followed
    by the next at once: its last observation goes to rows first, first + 1 ... of `final`, and how
    many there are is returned.
    """
    width, places, ended = outcome.responses.shape[1], slates.shape[1], first
    for block in range(first, last, BLOCK):
        end = min(block + BLOCK, last)
        for row in range(block, end):
            outcome.consumed[row], outcome.reward[row] = -1, 0.0
            outcome.terminated[row] = outcome.truncated[row] = False
            for r in range(width):
                outcome.responses[row, r] = 0.0
            for k in range(places):
                outcome.position_reward[row, k] = 0.0
        for row in range(block, end):
            if not idle[row]:
                serve(row, live, world, slates, limit, outcome, scratch.scores)
        for row in range(block, end):
            over = again and (outcome.terminated[row] or outcome.truncated[row])
            if over:
                if scratch.seen.size > 0:
                    draw(row, live, offer, scratch.seen)
                look(row, live, offer.features, world, final, ended)
                ended += 1
            if over or idle[row]:
                start(row, live, offer, world)
            if scratch.seen.size > 0:
                draw(row, live, offer, scratch.seen)
            look(row, live, offer.features, world, view, row)
    return ended - first


def _appraise(
    live: Any,
    world: Any,
    items: Any,
    scores: Any,
    worths: Any,
    plans: Any,
    nones: Any,
    plan_nones: Any,
) -> None:
    """What oracles ask of `items` (N, C) and of choosing nothing (N,); nothing changes."""
    for row in range(items.shape[0]):
        user = live.users[row]
        nones[row] = none(user, world)
        plan_nones[row] = plan_none(user, world)
        for c in range(items.shape[1]):
            scores[row, c] = score(user, world, items[row, c])
            worths[row, c] = worth(user, world, items[row, c])
            plans[row, c] = plan(user, world, items[row, c])


@njit
def is_plain(choices: Any, size: int) -> Any:
    """Whether all choices (K,) are different and in 0..size-1; without a branch, as most are."""
    plain = True
    for k in range(choices.size):
        plain &= (choices[k] >= 0) & (choices[k] < size)
        for j in range(k):
            plain &= choices[j] != choices[k]
    return plain


@njit_cached
def resolve(
    actions: Any, live: Any, offer: Any, size: int, mend: bool, slates: Any, invalid: Any
) -> int:
    """Write the item ids of `actions` (N, K) into `slates`; the first bad row, or -1.

    A place is bad when its index is outside 0..size-1, repeats one above, or names an item that is
    not available. With `mend`, bad places get the first choices that are none of that, rows that
    had one are marked in `invalid` (N,), and -1 is returned.
    """
    drawn, windows = live.candidates.shape[1] > 0, offer.since.size > 0
    for row in range(actions.shape[0]):
        if not windows and is_plain(actions[row], size):
            for k in range(actions.shape[1]):
                a = actions[row, k]
                slates[row, k] = live.candidates[row, a] if drawn else a
            continue
        clock = live.users[row].clock
        spare = -1
        for k in range(actions.shape[1]):
            a = actions[row, k]
            while True:
                bad = a < 0 or a >= size
                item = -1
                if not bad:
                    item = live.candidates[row, a] if drawn else a
                    bad = not is_open(item, clock, offer.since, offer.until)
                for j in range(k):
                    bad = bad or slates[row, j] == item
                if not bad:
                    break
                if not mend:
                    return row
                invalid[row] = True
                spare += 1
                a = spare
            slates[row, k] = item
    return -1
