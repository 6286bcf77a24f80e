"""What to show one user, by the caller's own ids: from a policy, an encoder, or a saved folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.storage.vocabularies import load_vocabulary
from offpolicy.vocabulary import Vocabulary
from policies.base import Policy
from policies.encoders.base import Encoder
from policies.observation import Observation
from policies.one_user import observation_of_user, ranked
from policies.saving import checkpoint, folders

ITEMS = "items.txt"  # beside a policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """K items for one user, best first."""

    items: tuple[str, ...]  # (K,) the caller's ids
    scores: tuple[float, ...] | None  # (K,) a policy's scores, an encoder's log-probabilities
    first_place: tuple[float, ...] | None  # (K,) chance that the policy shows the item first
    propensity: float | None  # that its slate is this one, where it is as long as a slate of it
    lacks: tuple[str, ...] = ()  # what the policy reads and was not given: zeros stand in for it


def recommend_items(
    model: Policy | Encoder | str | os.PathLike[str],
    history: Sequence[object],
    k: int = 10,
    *,
    names: Vocabulary | None = None,
    repeats: bool = False,
    responses: ArrayLike | None = None,
    user: ArrayLike | None = None,
    candidates: Sequence[object] | None = None,
) -> Recommendation:
    """The k items that a model favours for one user, by the ids that it was trained on; nothing is
    drawn.

    model: a policy or an encoder, the folder that holds one, or the run folder that made it.
    history: ids of what the user consumed, oldest first; it is not recommended again unless
        `repeats`.
    names: of the model's items; by default those that it was saved with or that stand
        beside it, else 0, 1, 2 …
    responses: (len(history), R) what was observed of each; user: (F,) the observable user; zeros
        stand in for what is not given, and `lacks` of the answer says so.
    candidates: ids to choose among; the whole catalogue by default.

    Raises ValueError for an unknown id, too few items to choose among, or an array of another
    shape; FileNotFoundError where nothing is saved.
    """
    served: Any = model
    if isinstance(model, str | os.PathLike):
        folder = checkpoint.saved_in(model)
        names, served = names or names_beside(folder), saved_model(folder)
    encoder = isinstance(served, Encoder)
    n_items = served.n_items if encoder else served.serving.n_items
    own = None if encoder else served.serving.item_names
    known = names or Vocabulary(own or tuple(map(str, range(n_items))))
    if len(known) != n_items:
        raise ValueError(f"there are {len(known)} names for {n_items} items: give one each")
    past = codes_of(known, history, "history")
    among = None if candidates is None else codes_of(known, candidates, "candidates")
    if encoder:
        return _by_encoder(served, known, past, k, repeats, among)
    chosen = None if among is None else among.tolist()
    obs = observation_of_user(served.serving, past, responses, user, chosen)
    lacks, filled = obs.lacks, replace(obs, lacks=())  # zeros count as given
    best = ranked(served, filled, k, exclude=None if repeats else past)
    return _by_policy(served, filled, known, best, lacks)


def saved_model(folder: Path) -> Any:
    """The policy or the encoder of a folder.

    Raises:
        FileNotFoundError: nothing is saved there.
        ValueError: an altered file, or one of another format.
    """
    return folders.load(folder) if checkpoint.holds_policy(folder) else checkpoint.load(folder)


def names_beside(folder: Path) -> Vocabulary | None:
    """The names of the items of the model in a folder: its own, or items.txt beside the folder."""
    own, beside = checkpoint.item_names(folder), folder.parent / ITEMS
    return load_vocabulary(beside) if own is None and beside.is_file() else own


def codes_of(names: Vocabulary, ids: Sequence[object], column: str) -> NDArray[np.int32]:
    """Codes of ids. Raises ValueError, which names the first that is unknown or missing."""
    codes = names.codes(list(ids), column)
    if (codes < 0).any():
        raise ValueError(f"{column}[{int(np.argmax(codes < 0))}] is empty: give an id")
    return codes.astype(np.int32)


def _by_encoder(
    encoder: Encoder,
    names: Vocabulary,
    past: NDArray[np.int32],
    k: int,
    repeats: bool,
    among: NDArray[np.int32] | None,
) -> Recommendation:
    """The items most likely to come next."""
    scores = np.asarray(encoder.scores(past[None] if len(past) else -np.ones((1, 1), np.int32))[0])
    logs = scores - np.logaddexp.reduce(scores.astype(np.float64))
    allowed = np.zeros(len(scores), bool)
    allowed[slice(None) if among is None else among] = True
    if not repeats:
        allowed[past] = False
    if k < 1 or k > allowed.sum():
        raise ValueError(f"k is {k} and {allowed.sum()} items can be shown: ask for 1 to that many")
    best = np.argsort(np.where(allowed, -logs, np.inf), kind="stable")[:k]
    return Recommendation(
        items=tuple(names.of_codes(best)),
        scores=tuple(logs[best].tolist()),
        first_place=None,
        propensity=None,
    )


def _by_policy(
    policy: Policy,
    obs: Observation,
    names: Vocabulary,
    best: NDArray[np.int32],
    lacks: tuple[str, ...],
) -> Recommendation:
    """Scores and chances of what a policy favours."""
    offer = obs.candidates
    at = best if offer is None else np.array([np.flatnonzero(offer[0] == i)[0] for i in best])
    shown = policy.distribution(obs)
    first = shown.first_place()[0, at]
    whole = len(best) == policy.serving.slate_size
    model = getattr(policy, "score_model", None)
    scores = None if model is None else np.asarray(model.scores(obs))[0, at]
    return Recommendation(
        items=tuple(names.of_codes(best)),
        scores=None if scores is None else tuple(map(float, scores)),
        first_place=tuple(first.tolist()),
        propensity=float(shown.prefix(at[None].astype(np.int32))[0, -1]) if whole else None,
        lacks=lacks,
    )
