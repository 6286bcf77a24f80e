"""What to show one user now: the same policies, asked with a plain list of item ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.base import Observation, Policy, Serving, items_of

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

    Raises ValueError for an unknown item, too few items to choose among, and where the policy reads
    responses or a user that were not given.
    """
    serving = policy.serving
    obs = _observation(serving, history, responses, user, candidates)
    if exclude_history:
        obs = _without(obs, np.asarray(history, np.int64), serving.n_items)
    wanted = serving.slate_size if k is None else k
    ranked: I32 = items_of(obs, policy.distribution(obs).ranking(wanted))[0]
    if wanted < 1 or (ranked < 0).any():
        raise ValueError(
            f"{wanted} items were asked for and {int((ranked >= 0).sum())} can be shown: "
            "ask for at least one, and for no more than there are candidates"
        )
    return ranked


def _observation(
    serving: Serving,
    history: ArrayLike,
    responses: ArrayLike | None,
    user: ArrayLike | None,
    candidates: Sequence[int] | None,
) -> Observation:
    """One row, as an environment or a log would show it."""
    ids = _known(history, serving.n_items, "history")
    h = serving.history_length
    kept = ids[-h:]
    items = np.full((1, h), -1, np.int32)
    items[0, h - len(kept) :] = kept
    felt = np.zeros((1, h, len(serving.response_names)), np.float32)
    if responses is not None:
        given = np.asarray(responses, np.float32).reshape(len(ids), felt.shape[2])
        felt[0, h - len(kept) :] = given[-h:]
    features = np.zeros((1, serving.user_size), np.float32)
    if user is not None:
        features[0] = np.asarray(user, np.float32)
    choice = None
    if candidates is not None or serving.n_candidates is not None:
        every = range(serving.n_items) if candidates is None else candidates
        choice = _known(np.asarray(every), serving.n_items, "candidates")[None]
    lacks = {"responses": responses is None and len(ids) > 0, "context": user is None}
    return Observation(
        history_items=items,
        history_responses=felt,
        user=features,
        candidates=choice,
        lacks=tuple(name for name, missing in lacks.items() if missing),
    )


def _without(obs: Observation, seen: NDArray[np.int64], n_items: int) -> Observation:
    """The same row, where what was seen must not be shown."""
    offered = np.arange(n_items, dtype=np.int32)[None] if obs.candidates is None else obs.candidates
    return obs.with_eligible(~np.isin(offered, seen))


def _known(items: ArrayLike, n_items: int, what: str) -> I32:
    """A list of item ids, each of the catalogue."""
    ids = np.asarray(items)
    if ids.ndim != 1 or (len(ids) and ids.dtype.kind not in "iu"):
        raise ValueError(f"{what} must be a list of item ids, got {ids.dtype} of shape {ids.shape}")
    wrong = (ids < 0) | (ids >= n_items)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(f"{what}[{place}] = {ids[place]} is outside 0..{n_items - 1}")
    known: I32 = ids.astype(np.int32)
    return known
