"""The compiled step over N users, made of a model's scalar functions about one user.

The loops below are ordinary functions; `compiled` binds a model's functions to the names they call
and compiles the result. The machine code is cached on disk under a name that holds the hash of
every source file involved, so that an edit anywhere is never served by stale code.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from recsim_env import random as luck
from recsim_env.jit import njit, njit_cached
from recsim_env.model import UserModel
from recsim_env.random import BEGIN, OFFER, RESPOND, derive, integer, turn, weighted

BLOCK = 256  # users that pass through a step together: their records stay in the cache


class Live(NamedTuple):
    """State of N users: never handed out, only copied from."""

    users: NDArray[Any]  # (N,) records
    items: NDArray[np.int32]  # (N, H) ring of consumed items
    responses: NDArray[np.float32]  # (N, H * R) ring of their responses
    candidates: NDArray[np.int32]  # (N, C) on offer now; C = 0 when the whole catalogue is


class Offer(NamedTuple):
    """How candidates are drawn and described, and where users come from."""

    features: NDArray[np.float32]  # (A, F)
    cdf: NDArray[np.float64]  # (A,) cumulative popularity, or (0,): uniform
    since: NDArray[np.int32]  # (A,) first tick of an item, or (0,): always available
    until: NDArray[np.int32]  # (A,) tick after its last
    past_items: NDArray[np.int32]  # (U, H) first histories; U = 0 when there is no population
    past_responses: NDArray[np.float32]  # (U, H * R)


class View(NamedTuple):
    """One observation of N users: fresh arrays, written in place."""

    history_items: NDArray[np.int32]  # (N, H)
    history_responses: NDArray[np.float32]  # (N, H * R)
    user: NDArray[np.float32]  # (N, F)
    candidates: NDArray[np.int32]  # (N, C)
    candidate_features: NDArray[np.float32]  # (N, C, F)


class Outcome(NamedTuple):
    """What one step returned for N users: fresh arrays."""

    reward: NDArray[np.float64]  # (N,)
    terminated: NDArray[np.bool_]  # (N,)
    truncated: NDArray[np.bool_]  # (N,)
    consumed: NDArray[np.int32]  # (N,) item id or -1
    responses: NDArray[np.float32]  # (N, R)
    position_reward: NDArray[np.float64]  # (N, K)


class Kernel(NamedTuple):
    """The compiled loops of one model."""

    begin: Any  # (rows, fresh, live, offer, world, view)
    step: Any  # (first, last, idle, live, offer, world, slates, limit, outcome, view)
    appraise: Any  # (live, world, items, scores, worths, plans, nones, plan_nones)


# What the loops call; `compiled` puts a model's own functions in their place.
_BOUND_LATER: Any = None
sample = respond = advance = leaves = observe = score = worth = plan = _BOUND_LATER
none = plan_none = serve = draw = look = _BOUND_LATER


@njit
def is_open(item: int, clock: int, since: Any, until: Any) -> Any:
    """Whether the item may be served at this tick."""
    return since.size == 0 or (since[item] <= clock < until[item])


def _serve(
    first: int, last: int, idle: Any, live: Any, world: Any, slates: Any, limit: int, outcome: Any
) -> None:
    """Users first..last-1, except the idle, answer their slates (N, K) of item ids."""
    scores = np.empty(slates.shape[1], np.float64)
    length, width = live.items.shape[1], outcome.responses.shape[1]
    for row in range(first, last):
        user = live.users[row]
        response, paid = outcome.responses[row], outcome.position_reward[row]
        for r in range(width):
            response[r] = 0.0
        for k in range(paid.size):
            paid[k] = 0.0
        outcome.consumed[row] = -1
        outcome.reward[row] = 0.0
        outcome.terminated[row] = outcome.truncated[row] = False
        if idle[row]:
            continue
        turn(user, RESPOND)
        place = respond(user, world, slates[row], scores, response, paid)
        item = slates[row, place] if place >= 0 else -1
        reward = advance(user, world, item, response)
        for k in range(paid.size):
            reward += paid[k]
        if item >= 0:
            user.watched += response[1]
            user.enjoyed += response[1] * response[2]
        if item >= 0 and length > 0:
            live.items[row, user.head] = item
            for r in range(width):
                live.responses[row, user.head * width + r] = response[r]
            user.head = user.head + 1 if user.head + 1 < length else 0
        gone = leaves(user, world)
        user.step += 1
        user.clock += 1
        outcome.consumed[row] = item
        outcome.reward[row] = reward
        outcome.terminated[row] = gone
        outcome.truncated[row] = not gone and user.step >= limit


def _draw(rows: Any, users: Any, candidates: Any, offer: Any, seen: Any) -> None:
    """Draw distinct candidates for the coming decision; `seen` (A,) is zero, and is again after."""
    cdf, since, until = offer.cdf, offer.since, offer.until
    for row in rows:
        user = users[row]
        turn(user, OFFER)
        for c in range(candidates.shape[1]):
            item = weighted(user, cdf) if cdf.size else integer(user, seen.size)
            while seen[item] or not is_open(item, user.clock, since, until):
                item = weighted(user, cdf) if cdf.size else integer(user, seen.size)
            seen[item] = True
            candidates[row, c] = item
        for c in range(candidates.shape[1]):
            seen[candidates[row, c]] = False


def _look(rows: Any, live: Any, features: Any, world: Any, view: Any) -> None:
    """Copy what the agent may see of these users into the observation, history oldest first."""
    length = live.items.shape[1]
    width = live.responses.shape[1] // max(length, 1)
    sums = view.user.shape[1] - 3
    for row in rows:
        user = live.users[row]
        old = length - user.head  # places from the oldest to the ring's end
        for h in range(old):
            view.history_items[row, h] = live.items[row, user.head + h]
        for h in range(old, length):
            view.history_items[row, h] = live.items[row, h - old]
        for h in range(old * width):
            view.history_responses[row, h] = live.responses[row, user.head * width + h]
        for h in range(old * width, length * width):
            view.history_responses[row, h] = live.responses[row, h - old * width]
        observe(user, world, view.user[row])
        view.user[row, sums] = user.step
        view.user[row, sums + 1] = user.watched
        view.user[row, sums + 2] = user.enjoyed
        for c in range(live.candidates.shape[1]):
            item = live.candidates[row, c]
            view.candidates[row, c] = item
            for f in range(features.shape[1]):
                view.candidate_features[row, c, f] = features[item, f]


def _begin(rows: Any, fresh: bool, live: Any, offer: Any, world: Any, view: Any) -> None:
    """Observe these rows, after starting the next session in each if `fresh`."""
    people = offer.past_items.shape[0]
    for row in rows:
        if not fresh:
            break
        user = live.users[row]
        user.session += 1
        user.key = derive(user.stream, user.session)
        user.step = 0
        user.head = 0
        user.watched = 0.0
        user.enjoyed = 0.0
        turn(user, BEGIN)
        user.person = integer(user, people) if people else -1
        sample(user, world)
        for h in range(live.items.shape[1]):
            live.items[row, h] = offer.past_items[user.person, h] if people else -1
        for h in range(live.responses.shape[1]):
            live.responses[row, h] = offer.past_responses[user.person, h] if people else 0.0
    if live.candidates.shape[1] > 0:
        seen = np.zeros(offer.features.shape[0], np.bool_)
        draw(rows, live.users, live.candidates, offer, seen)
    look(rows, live, offer.features, world, view)


def _step(
    first: int,
    last: int,
    idle: Any,
    live: Any,
    offer: Any,
    world: Any,
    slates: Any,
    limit: int,
    outcome: Any,
    view: Any,
) -> None:
    """One decision of users first..last-1: they answer, are made the next offer and observed."""
    seen = np.zeros(offer.features.shape[0] if live.candidates.shape[1] > 0 else 0, np.bool_)
    for start in range(first, last, BLOCK):
        rows = range(start, min(start + BLOCK, last))
        serve(start, min(start + BLOCK, last), idle, live, world, slates, limit, outcome)
        if seen.size > 0:
            draw(rows, live.users, live.candidates, offer, seen)
        look(rows, live, offer.features, world, view)


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


@njit_cached
def resolve(
    actions: Any, live: Any, offer: Any, size: int, mend: bool, slates: Any, invalid: Any
) -> int:
    """Write the item ids of `actions` (N, K) into `slates`; the first bad row, or -1.

    A place is bad when its index is outside 0..size-1, repeats one above, or names an item that is
    not available. With `mend`, bad places get the first choices that are none of that, rows that
    had one are marked in `invalid` (N,), and -1 is returned.
    """
    drawn = live.candidates.shape[1] > 0
    for row in range(actions.shape[0]):
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


def compiled(model: UserModel) -> Kernel:
    """The loops with this model's functions in them, compiled on first call, cached on disk."""
    return _compiled(tuple(model.functions().items()))


@cache
def _compiled(functions: tuple[tuple[str, Any], ...]) -> Kernel:
    names: dict[str, Any] = dict(functions)
    stamp = source_hash(names)

    def bound(loop: Callable[..., None]) -> Any:
        twin = FunctionType(loop.__code__, {**globals(), **names}, loop.__name__)
        twin.__qualname__ = f"{loop.__name__}_{stamp}"
        return twin

    names |= {loop.__name__[1:]: njit(bound(loop)) for loop in (_serve, _draw, _look)}
    return Kernel(*(njit_cached(bound(loop)) for loop in (_begin, _step, _appraise)))


def source_hash(functions: dict[str, Any]) -> str:
    """Hash of what the functions are and of the files of every compiled function they reach."""
    reached: set[str] = {__file__, str(luck.__file__)}
    todo = list(functions.values())
    done: set[int] = set()
    while todo:
        python = todo.pop().py_func
        if id(python) in done:
            continue
        done.add(id(python))
        reached.add(inspect.getfile(python))
        called = [python.__globals__.get(name) for name in python.__code__.co_names]
        todo += [f for f in called if isinstance(f, numba.core.dispatcher.Dispatcher)]
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for name, function in functions.items():
        python = function.py_func
        digest.update(f"{name} {python.__module__} {python.__qualname__}".encode())
    for path in sorted(reached):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]
