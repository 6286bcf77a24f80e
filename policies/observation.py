"""What a policy observes, and the sizes it serves: read off an environment or off a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.validation import check_same_names
from policies.wrapped import attribute

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
TOLD_APART = 256  # items of a catalogue of no known features that are told apart by an indicator


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the server knows about B users when it must choose; the same record from env and log."""

    history_items: I32  # (B, H) ids of the items consumed, oldest first, -1 padded on the left
    history_responses: F32  # (B, H, R) what was observed of each of them; 0 where it is padded
    user: F32  # (B, F) what is observable of the user, then the session so far
    candidates: I32 | None = None  # (B, C) item ids on offer, -1 = empty; None = all items
    eligible: Bool | None = None  # (B, C) False = must not be shown; None = all may
    lacks: tuple[str, ...] = ()  # columns that a log did not hold: zeros stand in for them

    def __len__(self) -> int:
        return len(self.history_items)

    def with_eligible(self, eligible: Bool) -> Observation:
        """The same record, where only these columns (B, C) may be shown."""
        return replace(self, eligible=eligible)

    def rows(self, index: slice | NDArray[np.int64]) -> Observation:
        """The same record for some of the users."""
        return Observation(
            history_items=self.history_items[index],
            history_responses=self.history_responses[index],
            user=self.user[index],
            candidates=None if self.candidates is None else self.candidates[index],
            eligible=None if self.eligible is None else self.eligible[index],
            lacks=self.lacks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The sizes a policy is built for, and what is known of the items; read off an environment."""

    n_items: int  # A, the size of the catalogue
    slate_size: int  # K, the positions of a slate
    history_length: int  # H, how many consumed items an observation holds
    n_candidates: int | None  # C, how many items are on offer; None = the whole catalogue
    item_features: F32  # (A, F) what is known of each item, by id
    user_size: int  # width of the observation's user vector
    response_names: tuple[str, ...]  # (R,) what is observed of a consumed item, in order
    item_names: tuple[str, ...] | None = None  # (A,) the items' ids as their owner knows them

    @property
    def columns(self) -> int:
        """How many items a distribution ranges over: C, or A without a candidate generator."""
        return self.n_items if self.n_candidates is None else self.n_candidates


def items_of(obs: Observation, action: I32) -> I32:
    """Item ids (B, K) of candidate columns (B, K); -1 stays -1."""
    if obs.candidates is None:
        return action
    ids = np.take_along_axis(np.asarray(obs.candidates), np.maximum(action, 0), axis=1)
    return np.where(action < 0, np.int32(-1), ids).astype(np.int32, copy=False)


def columns_of(obs: Observation, slate: I32) -> I32:
    """Candidate columns (B, K) of item ids (B, K).

    Raises ValueError where a shown item was not among the row's candidates.
    """
    if obs.candidates is None:
        return slate
    match = obs.candidates[:, None, :] == slate[:, :, None]  # (B, K, C): C candidates, never A
    lost = ~match.any(axis=2) & (slate >= 0)
    if lost.any():
        row, place = np.argwhere(lost)[0]
        raise ValueError(
            f"slate[{row}, {place}] = {slate[row, place]} is not among the candidates of that row "
            f"({int(lost.any(axis=1).sum())} of {len(slate)} rows). Log the candidates that the "
            "policy was offered, or drop those rows before scoring."
        )
    return np.where(slate < 0, -1, match.argmax(axis=2)).astype(np.int32)


def serving_of(env: Any) -> Serving:
    """Read the sizes off any environment that has Longplay's attribute names, of one user or a
    vector, itself or under Gymnasium's wrappers; a Serving is itself."""
    if isinstance(env, Serving):
        return env
    try:
        single, drawn = hasattr(env, "single_observation_space"), attribute(env, "n_candidates")
        spaces = env.single_observation_space if single else env.observation_space
        return Serving(
            n_items=int(attribute(env, "n_items")),
            slate_size=int(attribute(env, "slate_size")),
            history_length=int(attribute(env, "history_length")),
            n_candidates=None if drawn is None else int(drawn),
            item_features=np.asarray(attribute(env, "item_features"), dtype=np.float32),
            user_size=int(spaces["user"].shape[0]),
            response_names=tuple(attribute(env, "response_names")),
            item_names=_names_of(env),
        )
    except (AttributeError, KeyError, TypeError) as missing:
        raise ValueError(
            f"{type(env).__name__} cannot be served: {missing}. A policy needs a vector "
            "environment with n_items, slate_size, n_candidates, history_length, item_features and "
            "response_names, its own or of env.unwrapped, and `user` among its observations; make "
            "it with gymnasium.make_vec."
        ) from None


def serving_of_log(
    log: LoggedDataset,
    item_features: ArrayLike | None = None,
    *,
    slate_size: int | None = None,
    history_length: int = 20,
    response_names: Sequence[str] | None = None,
) -> Serving:
    """The sizes of the policy that served a log, where no environment is at hand.

    item_features: (A, F) of the items by id; by default an indicator each in catalogues of up to
        256 items, a constant in larger ones.
    slate_size: K, the log's by default. response_names: of the log's R responses; numbered if None.

    Raises ValueError for features or names that are not the log's.
    """
    n = log.n_items
    unknown = np.eye(n) if n <= TOLD_APART else np.ones((n, 1))
    features = np.asarray(unknown if item_features is None else item_features, np.float32)
    if features.ndim != 2 or len(features) != n or not np.isfinite(features).all():
        raise ValueError(
            f"item_features has shape {features.shape}; give finite numbers for the log's {n} items"
        )
    count = 0 if log.responses is None else log.responses.shape[1]
    names = [f"response {r}" for r in range(count)] if response_names is None else response_names
    if len(names) != count or len(set(names)) < count:
        raise ValueError(
            f"response_names is {list(names)}; name each of the log's {count} columns of responses"
        )
    offered, every = log.candidates, np.arange(n, dtype=np.int32)
    if offered is not None and offered.shape[1] == n and (offered[offered != every] < 0).all():
        offered = None  # the whole catalogue, under a mask
    return Serving(
        n_items=n,
        slate_size=log.slate_size if slate_size is None else slate_size,
        history_length=history_length,
        n_candidates=None if offered is None else offered.shape[1],
        item_features=features,
        user_size=0 if log.context is None else log.context.shape[1],
        response_names=tuple(names),
        item_names=item_names_of(log),
    )


def item_names_of(log: LoggedDataset) -> tuple[str, ...] | None:
    """The ids of a log's items, where they were given by name."""
    return tuple(log.names_of("item", np.arange(log.n_items))) if "item" in log.names else None


def _names_of(env: Any) -> tuple[str, ...] | None:
    """The ids of an environment's items, where it has a catalogue that names each otherwise."""
    names = getattr(getattr(env.unwrapped, "catalogue", None), "names", None) or ()
    return tuple(names) if names and len({*names, ""}) == len(names) + 1 else None


def sizes(serving: Serving) -> dict[str, Any]:
    """All that a Serving says but the items' features and names."""
    large = ("item_features", "item_names")
    return {f.name: getattr(serving, f.name) for f in fields(serving) if f.name not in large}


def check_same_world(built: Serving, given: Serving, who: str = "the policy") -> None:
    """Raise ValueError unless a policy's sizes are those of the environment given."""
    before, now = sizes(built), sizes(given)
    other = [f"{k} {before[k]}, not {now[k]}" for k in now if before[k] != now[k]]
    if other:
        raise ValueError(
            f"{who} was built for another world: {'; '.join(other)}. Use the environment it was "
            "trained in, or train a policy in this one."
        )
    check_same_names(built.item_names, given.item_names, who)


def observation_of(obs: dict[str, NDArray[Any]]) -> Observation:
    """The record from an environment's observation dict.

    An item may be shown where `action_mask` allows it, if there is one, and its place is not empty.
    """
    mask, candidates = obs.get("action_mask"), obs.get("candidates")
    items, responses = obs["history_items"], obs["history_responses"]
    if responses.ndim == 2:  # of environments of one user each, whose tables are flat
        responses = responses.reshape(*items.shape, responses.shape[1] // max(items.shape[1], 1))
    return Observation(
        history_items=items,
        history_responses=responses,
        user=obs["user"],
        candidates=candidates,
        eligible=eligible(None if mask is None else mask.astype(bool), candidates),
    )


def eligible(mask: Bool | None, candidates: I32 | None) -> Bool | None:
    """(B, C) where a mask allows it and the candidate's place is not empty (-1); None = all."""
    if candidates is None or candidates.min(initial=0) >= 0:
        return mask
    return np.asarray(candidates >= 0 if mask is None else mask & (candidates >= 0))


def candidate_items(obs: Observation, n_items: int) -> I32:
    """Item ids (B, C) of the columns; -1 = empty."""
    if obs.candidates is not None:
        return obs.candidates
    return np.broadcast_to(np.arange(n_items, dtype=np.int32), (len(obs), n_items))


def offered(obs: Observation) -> I32 | None:
    """What a log keeps of an offer: candidates (B, C), -1 where an item must not be shown; None for
    the whole catalogue."""
    if obs.eligible is None:
        return obs.candidates
    every = np.arange(obs.eligible.shape[1], dtype=np.int32)
    ids = every if obs.candidates is None else obs.candidates
    shown: I32 = np.where(obs.eligible, ids, np.int32(-1)).astype(np.int32)
    return shown


def observation_of_log(log: LoggedDataset, serving: Serving) -> Observation:
    """The record that the serving policy saw, for every row of a log: histories are derived.

    Raises ValueError when the log is of another catalogue or candidate generator, or lacks columns
    that the policy's observation is made of.
    """
    _check_same_world(log, serving)
    items, seen = log.histories(serving.history_length)
    none = np.zeros((*items.shape, len(serving.response_names)), np.float32)
    empty = np.zeros((len(log), serving.user_size), np.float32)
    return Observation(
        history_items=items,
        history_responses=none if log.responses is None else seen,
        user=empty if log.context is None else log.context,
        candidates=None if serving.n_candidates is None else log.candidates,
        eligible=eligible(None, log.candidates),
        lacks=tuple(n for n in ("consumed", "responses", "context") if getattr(log, n) is None),
    )


def check_catalogue(log: LoggedDataset, serving: Serving) -> None:
    """Raise ValueError for a log of another number of items than the policy's."""
    if log.n_items != serving.n_items:
        raise ValueError(
            f"the log's catalogue has {log.n_items} items and the policy's has {serving.n_items}: "
            "item ids would not mean the same. Build the policy for the catalogue of the log."
        )


def _check_same_world(log: LoggedDataset, serving: Serving) -> None:
    """Raise unless rows of the log are decisions of the kind the policy takes."""
    check_catalogue(log, serving)
    check_same_names(serving.item_names, item_names_of(log))
    if log.candidates is None and serving.n_candidates is not None:
        raise ValueError(
            f"the policy chooses among {serving.n_candidates} candidates but the log has no "
            "candidates column: log what the candidate generator offered on each row."
        )
    if log.candidates is not None and log.candidates.shape[1] != serving.columns:
        raise ValueError(
            f"the log offers {log.candidates.shape[1]} candidates a row and the policy chooses "
            f"among {serving.columns}: build the policy for the generator that was logged."
        )
    if log.context is not None and log.context.shape[1] != serving.user_size:
        raise ValueError(
            f"the log's context is {log.context.shape[1]} wide and the policy's user vector "
            f"{serving.user_size}: score with a policy built for the environment that was logged."
        )


def require(obs: Observation, *columns: str) -> None:
    """Raise ValueError where a policy reads what the log of these rows does not hold."""
    missing = [name for name in columns if name in obs.lacks]
    if missing:
        raise ValueError(
            f"the policy reads {', '.join(missing)}, which the log does not hold: its "
            "probabilities would not be those of serving. Log the column, or score a policy that "
            "does not read it (`recommend` takes responses= and user=)."
        )
