"""What the compiled loops read and write: records of arrays over N users."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population

LEAST = 1e-300  # of the popularity of all items together: no float32 above 0 is less
SLACK = 8  # steps a history may move on before it is copied back to the front of its buffer
SERVE, START, LOOK = 0, 1, 2  # what a step does with a user: a row that ended (True) is to START


class Live(NamedTuple):
    """State of N users: never handed out, only copied from.

    A history is H neighbouring entries, from `user.head` on, of a buffer of H + SLACK: consumption
    moves it on by one, and an observation copies it in one piece. No buffer where H = 0.
    """

    users: NDArray[Any]  # (N,) records
    items: NDArray[np.int32]  # (N, H + SLACK) consumed items
    responses: NDArray[np.float32]  # (N, (H + SLACK) * R) their responses
    candidates: NDArray[np.int32]  # (N, C) on offer now; C = 0 when the whole catalogue is


class Offer(NamedTuple):
    """How candidates are drawn and described, and where users come from."""

    features: NDArray[np.float32]  # (A, F)
    cdf: NDArray[np.float64]  # (A,) cumulative popularity, or (0,): uniform
    since: NDArray[np.int64]  # (A,) first tick of an item, or (0,): always available
    until: NDArray[np.int64]  # (A,) tick after its last
    eligible: NDArray[np.bool_]  # (G, A) what a group may be served, or (0, 0): all, everything
    members: NDArray[np.float64]  # (G,) cumulated shares of the groups, or (0,)
    session_ticks: int  # ticks from the start of a slot's session to the start of its next
    past_items: NDArray[np.int32]  # (U, h) first histories, h <= H; U = 0 without a population
    past_responses: NDArray[np.float32]  # (U, h * R)


class View(NamedTuple):
    """One observation of N users: fresh arrays, written in place."""

    history_items: NDArray[np.int32]  # (N, H)
    history_responses: NDArray[np.float32]  # (N, H * R)
    user: NDArray[np.float32]  # (N, F)
    candidates: NDArray[np.int32]  # (N, C)
    candidate_features: NDArray[np.float32]  # (N, C, F), or (N, C, 0): left out


class Outcome(NamedTuple):
    """What one step returned for N users: fresh arrays."""

    reward: NDArray[np.float64]  # (N,)
    terminated: NDArray[np.bool_]  # (N,)
    truncated: NDArray[np.bool_]  # (N,)
    consumed: NDArray[np.int32]  # (N,) item id or -1
    responses: NDArray[np.float32]  # (N, R)
    position_reward: NDArray[np.float64]  # (N, K)


class Scratch(NamedTuple):
    """Working memory of one thread; means nothing between two users."""

    scores: NDArray[np.float64]  # (K,)
    drawn: NDArray[np.bool_]  # (A,) all false, or (0,) without candidates


class StepRequest(NamedTuple):
    """All that one thread's share of a step reads and writes; users are rows first..last-1."""

    first: int
    last: int
    todo: NDArray[np.uint8]  # (N,) what to do with each user: SERVE, START or LOOK
    autoreset: bool  # whether a session that ends is followed at once by the next
    max_steps: int  # decisions after which a session is cut off
    live: Live
    offer: Offer
    world: Any  # what the model's functions read
    slates: NDArray[np.int32]  # (N, K) item ids to serve
    outcome: Outcome  # written
    observation: View  # written: what the agent sees after the step
    final_observation: (
        View  # written with `autoreset`: the last observations of sessions that ended
    )
    scratch: Scratch


class Appraisal(NamedTuple):
    """What the users' true state says of every choice on offer; C = A without candidates."""

    weight: NDArray[np.float64]  # (N, C) score of choosing the item; see `oracle.appraise`
    worth: NDArray[np.float64]  # (N, C) expected immediate reward once chosen
    plan: NDArray[np.float64]  # (N, C) the same and what it does to the rest of the session
    none: NDArray[np.float64]  # (N,) score of choosing nothing
    plan_none: NDArray[np.float64]  # (N,) what choosing nothing does to the rest of the session


class AppraisalRequest(NamedTuple):
    """All that an appraisal reads and writes."""

    live: Live
    world: Any
    items: NDArray[np.int32]  # (N, C) item ids
    out: Appraisal  # written


class Advance(NamedTuple):
    """What one step gave, as arrays over the N users."""

    view: View
    outcome: Outcome
    invalid: NDArray[np.bool_]  # (N,) the slate was fixed
    counts: list[int]  # sessions that ended and were followed by the next, in each thread's share
    slates: NDArray[np.int32]  # (N, K) items that were shown


def idle_users(
    n: int, dtype: np.dtype[Any], *, history: int, responses: int, candidates: int
) -> Live:
    """N users before their first session."""
    width = history + SLACK if history else 0
    return Live(
        users=np.zeros(n, dtype),
        items=np.full((n, width), -1, np.int32),
        responses=np.zeros((n, width * responses), np.float32),
        candidates=np.zeros((n, candidates), np.int32),
    )


def offer_cdf(catalogue: Catalogue, offer: str) -> NDArray[np.float64]:
    """Cumulative chance (A,) with which candidates are drawn, or (0,) where all are alike."""
    if offer not in ("uniform", "popularity"):
        raise ValueError(f"offer = {offer!r}: candidates are drawn 'uniform' or by 'popularity'")
    if offer == "uniform":
        return np.zeros(0)
    cdf = np.cumsum(catalogue.popularity, dtype=np.float64)
    return np.asarray(cdf / max(float(cdf[-1]), LEAST))


def first_histories(
    population: Population | None, length: int, responses: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """What the people of a population consumed before: (U, h) and (U, h * R), h <= `length`;
    U = 0 of none."""
    if population is None:
        return np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
    items, seen = population.first_histories(length, responses)
    return items, seen.reshape(len(items), items.shape[1] * responses)


def shares(n: int, threads: int) -> list[tuple[int, int]]:
    """Ranges first..last-1 of users, one per thread and as equal as can be; fewer when n is."""
    threads = min(threads, n)
    cuts = [n * i // threads for i in range(threads + 1)]
    return [(a, b) for a, b in pairwise(cuts) if b > a]


def lined_up(world: Any) -> Any:
    """A NamedTuple's arrays copied to begin at a cache line, so that no short row lies in two."""
    return type(world)(*(_lined_up(x) if isinstance(x, np.ndarray) else x for x in world))


def _lined_up(array: NDArray[Any]) -> NDArray[Any]:
    room = np.empty(array.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    copied = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copied[...] = array
    return copied
