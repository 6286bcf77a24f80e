"""What to show one user now: any policy, called with a plain list of item ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.base import Policy
from policies.observation import Observation, Serving, candidate_items, items_of

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


def recommend(
    policy: Policy,
    history: ArrayLike,
    k: int | None = None,
    *,
    responses: ArrayLike | None = None,
    user: ArrayLike | None = None,
    candidates: Sequence[int] | None = None,
    exclude_history: bool = False,
) -> I32:
    """The k items that the policy favours for one user, best first; nothing is drawn.

    history: item ids, oldest first; only the last H are looked at.
    k: items wanted; the policy's slate size by default.
    responses: (len(history), R) what was observed of each; user: (F,) the observable user.
    candidates: item ids to choose among; the whole catalogue by default.
    exclude_history: leave out what is in `history`.

    Raises ValueError for an unknown item, too few items to choose among, an array of another shape,
    and where the policy reads responses or a user that were not given.
    """
    wanted = policy.serving.slate_size if k is None else k
    obs = observation_of_user(policy.serving, history, responses, user, candidates)
    seen = np.asarray(history, np.int64) if exclude_history else None
    return ranked(policy, obs, wanted, exclude=seen)


def ranked(
    policy: Policy, obs: Observation, wanted: int, *, exclude: NDArray[Any] | None = None
) -> I32:
    """(wanted,) item ids that a policy favours for one row, best first, none of `exclude`.

    Raises ValueError where there are fewer.
    """
    if not isinstance(wanted, int | np.integer) or wanted < 1:
        raise ValueError(f"k is {wanted!r}: give a whole number of items, at least 1")
    serving = policy.serving
    if exclude is not None and len(exclude):
        obs = _without(obs, exclude, serving.n_items)
    width = serving.n_items if obs.candidates is None else obs.candidates.shape[1]
    best: I32 = items_of(obs, policy.distribution(obs).ranking(min(wanted, width)))[0]
    if (available := int((best >= 0).sum())) < wanted:
        raise ValueError(
            f"k is {wanted} and {available} items can be shown: "
            "ask for no more than there are candidates"
        )
    return best


def observation_of_user(
    serving: Serving,
    history: ArrayLike,
    responses: ArrayLike | None,
    user: ArrayLike | None,
    candidates: Sequence[int] | None,
) -> Observation:
    """One row, as an environment or a log would show it."""
    ids = _known(history, serving.n_items, "history")
    h = serving.history_length
    recent = ids[max(len(ids) - h, 0) :]
    items = np.full((1, h), -1, np.int32)
    items[0, h - len(recent) :] = recent
    observed = np.zeros((1, h, len(serving.response_names)), np.float32)
    if responses is not None and len(ids):
        what = f"responses, of each item {', '.join(serving.response_names)},"
        given = _numbers(responses, (len(ids), observed.shape[2]), what)
        observed[0, h - len(recent) :] = given[len(ids) - len(recent) :]
    features = np.zeros((1, serving.user_size), np.float32)
    if user is not None:
        features[0] = _numbers(user, (serving.user_size,), "user")
    choice = None
    if candidates is not None:
        choice = _choice(candidates, serving.n_items)[None]
    elif serving.n_candidates is not None:
        choice = np.arange(serving.n_items, dtype=np.int32)[None]
    lacks = {"responses": responses is None and len(ids) > 0, "context": user is None}
    return Observation(
        history_items=items,
        history_responses=observed,
        user=features,
        candidates=choice,
        lacks=tuple(name for name, missing in lacks.items() if missing),
    )


def _without(obs: Observation, seen: NDArray[Any], n_items: int) -> Observation:
    """The same row, where what was seen must not be shown."""
    return obs.with_eligible(~np.isin(candidate_items(obs, n_items), seen))


def _choice(candidates: Sequence[int], n_items: int) -> I32:
    """Item ids to choose among, each once."""
    ids = _known(candidates, n_items, "candidates")
    if not len(ids):
        raise ValueError("candidates is empty: name an item, or leave it out for the catalogue")
    _, first = np.unique(ids, return_index=True)
    if len(first) < len(ids):
        place = int(np.setdiff1d(np.arange(len(ids)), first)[0])
        raise ValueError(f"candidates[{place}] = {ids[place]} stands there twice: name it once")
    return ids


def _numbers(given: ArrayLike, shape: tuple[int, ...], what: str) -> F32:
    """What was given, as an array of that shape."""
    try:
        numbers = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be numbers of shape {shape}: {error}") from None
    if numbers.shape != shape:
        raise ValueError(f"{what} must be numbers of shape {shape}, got shape {numbers.shape}")
    return numbers


def _known(items: ArrayLike, n_items: int, what: str) -> I32:
    """A list of item ids, each of the catalogue."""
    try:
        ids = np.asarray(items)
    except ValueError:
        raise ValueError(f"{what} must be a list of item ids, got lists of several sizes") from None
    if ids.ndim != 1 or (len(ids) and ids.dtype.kind not in "iu"):
        raise ValueError(f"{what} must be a list of item ids, got {ids.dtype} of shape {ids.shape}")
    wrong = (ids < 0) | (ids >= n_items)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(f"{what}[{place}] = {ids[place]} is outside 0..{n_items - 1}")
    known: I32 = ids.astype(np.int32)
    return known
