"""What may be shown to a batch of users: requests and histories as one observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.observation import Observation, Serving, eligible
from serving.catalogue import Catalogue
from serving.door import Admitted
from serving.sessions.store import Seen

Bool = NDArray[np.bool_]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """B users and what may be shown to them."""

    obs: Observation  # candidates of a row are the fallback's pool where the request gave none
    given: Bool  # (B,) the request gave candidates
    keys: U64  # (B,) of the policy's draws
    fallback_keys: U64  # (B,)

    def __len__(self) -> int:
        return len(self.given)

    def rows(self, index: slice | NDArray[np.int64]) -> Offer:
        """The same for some of the users."""
        return Offer(
            self.obs.rows(index), self.given[index], self.keys[index], self.fallback_keys[index]
        )


def observation_of_requests(
    serving: Serving, pool: I32, admitted: Sequence[Admitted], seen: Sequence[Seen]
) -> Observation:
    """B requests as a policy of these sizes sees them, with the pool (C,) where one gives no
    candidates. Of a whole catalogue, candidates are what is eligible. Items of a history that the
    catalogue does not have are skipped."""
    b, h, c = len(admitted), serving.history_length, serving.columns
    items = np.full((b, h), -1, np.int32)
    responses = np.zeros((b, h, len(serving.response_names)), np.float32)
    candidates = np.broadcast_to(pool, (b, c)).copy()
    for row, (one, known) in enumerate(zip(admitted, seen, strict=True)):
        recent, answers = known.items[-h:], known.responses[-h:]
        if len(recent) and not 0 <= recent.min() <= recent.max() < serving.n_items:
            there = (known.items >= 0) & (known.items < serving.n_items)  # of this catalogue
            recent, answers = known.items[there][-h:], known.responses[there][-h:]
        items[row, h - len(recent) :] = recent
        responses[row, h - len(recent) :] = answers
        if one.candidates is not None:
            candidates[row] = -1
            candidates[row, : len(one.candidates)] = one.candidates
    whole = serving.n_candidates is None
    return Observation(
        history_items=items,
        history_responses=responses,
        user=np.array([one.context for one in admitted], np.float32).reshape(b, -1),
        candidates=None if whole else candidates,
        eligible=_members(candidates) if whole else eligible(None, candidates),
    )


def given_of(admitted: Sequence[Admitted]) -> Bool:
    """(B,) which requests gave candidates."""
    return np.array([one.candidates is not None for one in admitted], np.bool_)


def check_seen(seen: Sequence[Seen], visits: int, responses: int) -> None:
    """Raise ValueError for what a session store must not say: another number of visits than it was
    asked for, or responses (n, R) of another policy."""
    if len(seen) != visits:
        raise ValueError(f"the session store says {len(seen)} things to {visits} visits")
    for one in seen:
        wanted = (len(one.items), responses)
        if one.responses.shape != wanted:
            raise ValueError(
                f"a history has responses of shape {one.responses.shape} and not {wanted}: the "
                "session store was filled for another policy"
            )


def blank(admitted: Sequence[Admitted], responses: int) -> list[Seen]:
    """What is seen where the store says nothing: no history, and a step that is not known."""
    none = np.zeros(0, np.int32), np.zeros((0, responses), np.float32)
    return [Seen(*none, 0, None, -1, one.visit.request_id) for one in admitted]


def fallback_pool(serving: Serving, catalogue: Catalogue, names: Sequence[str]) -> I32:
    """Items that the fallback draws from (C,), -1 padded; the first of the catalogue by default.

    Raises ValueError for an unknown item, one given twice, and too few or too many.
    """
    most, least = serving.columns, serving.slate_size
    items = catalogue.numbers("fallback", names) or list(range(most))
    if not least <= len(set(items)) == len(items) <= most:
        raise ValueError(f"fallback has {len(items)} items; give {least} to {most} different ones")
    pool = np.full(most, -1, np.int32)
    pool[: len(items)] = items
    return pool


def _members(items: I32) -> Bool:
    """(B, A) which columns of a whole catalogue the items (B, A), -1 = none, are."""
    members = np.zeros(items.shape, np.bool_)
    rows, places = np.nonzero(items >= 0)
    members[rows, items[rows, places]] = True
    return members
