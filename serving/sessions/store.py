"""The protocol of session stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Visit(NamedTuple):
    """A request, as a store sees it; ids of user and session are keyed hashes."""

    user: str
    session: str
    request_id: str
    items: I32  # (n,) what the user took before the store knew of them, oldest first
    responses: F32  # (n, R)
    step: int | None = None  # what it was given before, in a log that is replayed
    began: str | None = None  # the same


class Seen(NamedTuple):
    """What a store says to a visit."""

    items: I32  # (n,) oldest first
    responses: F32  # (n, R)
    version: int  # items that the user has ever taken; 0 = a new user
    updated: float | None  # s, when the history last changed; None = it never did
    step: int  # of the session, from 0
    began: str  # request_id of the session's step 0


class Taken(NamedTuple):
    """An item that a user took."""

    user: str
    decision_id: str
    item: int
    responses: tuple[float, ...]


class Known(NamedTuple):
    """What a store knows of a user."""

    items: I32  # (n,) oldest first
    responses: F32  # (n, R)
    version: int  # items that the user has ever taken
    updated: float | None  # s, when the history last changed; None = it never did


class SessionStore(Protocol):
    """Many at a time. What `apply` was given is seen by every later `open`."""

    def open(self, visits: Sequence[Visit], now: float) -> list[Seen]:
        """History and step of each visit. Steps of a session count its requests; one that is sent
        again soon keeps its step. A session that was idle for long, or that the store forgot,
        begins anew at step 0. A user whom the store does not know starts with the visit's items.
        Arrays given out are not changed later."""

    def apply(self, taken: Sequence[Taken], now: float) -> int:
        """Put items into the histories; returns how many were new. One item a decision counts, the
        first, however often it is delivered."""

    def peek(self, users: Sequence[str]) -> list[Known | None]:
        """What is known of each user, None = nothing; no step is opened, and nobody is remembered
        for longer."""

    def forget(self, users: Sequence[str]) -> int:
        """Nothing more is known of these users; returns of how many there was something."""
