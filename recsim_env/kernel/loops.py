"""The loops over users. They are ordinary functions that call a user model's functions by name;

`kernel.compiled` puts the functions of one model behind those names and compiles the result. What
no model has a say in takes plain arrays and numbers, so that it is compiled once for all models.
"""

from __future__ import annotations

from typing import Any

from recsim_env.kernel.histories import recall, remember, show
from recsim_env.kernel.offers import draw
from recsim_env.kernel.state import SERVE, START
from recsim_env.random import BEGIN, RESPOND, derive, integer, member, turn

BLOCK = 64  # users that pass through a step together: their records stay in the cache

# What the loops call; `compiled` puts a model's own functions in their place.
_BOUND_LATER: Any = None
sample = respond = advance = leaves = observe = score = worth = plan = _BOUND_LATER
none = plan_none = serve = look = start = _BOUND_LATER


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
        user.head = remember(row, user.head, live.items, live.responses, item, response)
    gone = leaves(user, world)
    user.step += 1
    user.clock += 1
    outcome.consumed[row] = item
    outcome.reward[row] = reward
    outcome.terminated[row] = gone
    outcome.truncated[row] = not gone and user.step >= limit


def _look(row: int, live: Any, offer: Any, world: Any, seen: Any, view: Any, to: int) -> None:
    """Make a user the next offer and copy what the agent may see into row `to`."""
    user, sums = live.users[row], view.user.shape[1] - 3
    if seen.size > 0:
        draw(live.candidates[row], user.key, user.step, user.clock, user.group, offer, seen)
    observe(user, world, view.user[to])
    view.user[to, sums] = user.step
    view.user[to, sums + 1] = user.watched
    view.user[to, sums + 2] = user.enjoyed
    show(row, user.head, live.items, live.responses, live.candidates, offer.features, view, to)


def _start(row: int, live: Any, offer: Any, world: Any) -> None:
    """The slot's next session: luck, calendar, person and first history of its own."""
    people, user = offer.past_items.shape[0], live.users[row]
    user.session += 1
    user.key = derive(user.stream, user.session)
    user.clock = user.session * offer.pace
    user.group = member(user.key, offer.members)
    user.step = 0
    user.head = 0
    user.watched = 0.0
    user.enjoyed = 0.0
    turn(user, BEGIN)
    user.person = integer(user, people) if people else -1
    sample(user, world)
    recall(row, user.person, offer, live.items, live.responses)


def _step(
    first: int,
    last: int,
    todo: Any,
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

    `todo` (N,): whether a user is to SERVE, to START the next session instead, or only to LOOK.
    With `again` a session that ends is followed by the next at once: its last observation goes to
    rows first, first + 1 ... of `final`, and how many there are is returned.
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
            if todo[row] == SERVE:
                serve(row, live, world, slates, limit, outcome, scratch.scores)
        for row in range(block, end):
            over = again and (outcome.terminated[row] or outcome.truncated[row])
            if over:
                look(row, live, offer, world, scratch.seen, final, ended)
                ended += 1
            if over or todo[row] == START:
                start(row, live, offer, world)
            look(row, live, offer, world, scratch.seen, view, row)
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
