"""Encoder states of users who return step after step: one more event costs one step.

A history that grew by one event is stepped, one that stayed is looked up, an empty one starts
anew. All others are encoded whole: users who arrive with a past, and histories that are full, since
an item that leaves a full window must leave the state too. The result is always `encode` of the
histories, to 1e-5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.encoders.base import Encoder
from policies.encoders.serving.state import NetworkState
from policies.slates.compiling import njit_cached

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
UNCHANGED, GREW, EMPTY, OTHER = range(4)


class Follower:
    """The states of B users whose histories (B, H) are shown in order of time."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._parts = [Follower(part) for part in getattr(encoder, "parts", ())]  # of a mixture
        self._seen: I32 = np.zeros((0, 0), np.int32)  # (B, H) the histories of the last call
        self._whole = np.zeros(0, np.bool_)  # (B,) the state has seen the whole history
        self._state: NetworkState | None = None  # None: the encoder has no cheaper step

    def __call__(self, histories: I32) -> F32:
        """Encoder states (B, D); another shape of histories starts anew."""
        if self._parts:
            return np.concatenate([part(histories) for part in self._parts], axis=1)
        if histories.shape != self._seen.shape:
            self._start(histories)
        if self._state is None:
            return self.encoder.encode(histories)
        state = self._state
        change, item = changes(self._seen, histories, self._whole, self.encoder.context_length)
        if (empty := np.flatnonzero(change == EMPTY)).size:
            state.reset(empty)
        self.encoder.step(state, item)
        if (other := np.flatnonzero(change == OTHER)).size:
            state.vectors[other] = self.encoder.encode(histories[other])
        return state.vectors.copy()

    def _start(self, histories: I32) -> None:
        users = len(histories)
        state = self.encoder.initial_state(users)
        self._state = state if isinstance(state, NetworkState) else None
        self._seen = np.full_like(histories, -1)
        self._whole = np.ones(users, np.bool_)


@njit_cached()
def changes(
    seen: I32, now: I32, whole: NDArray[np.bool_], context_length: int
) -> tuple[NDArray[np.int8], I32]:
    """How each history changed, and the event (B,) that made it grow, -1 = none.

    `seen` becomes `now`. `whole` tells whose state has seen the whole history and nothing else: it
    becomes False when a history is encoded whole, and True when one is empty.
    """
    users, length = now.shape
    change = np.empty(users, np.int8)
    item = np.full(users, -1, np.int32)
    for b in range(users):
        same, grew = True, True
        for h in range(length):
            same &= now[b, h] == seen[b, h]
            grew &= h == 0 or now[b, h - 1] == seen[b, h]
        last = now[b, length - 1]
        fits = last < 0 or length - context_length <= 0 or now[b, length - context_length - 1] < 0
        if same:
            change[b] = UNCHANGED
        elif last < 0:
            change[b], whole[b] = EMPTY, True
        elif grew and whole[b] and fits and seen[b, 0] < 0:
            change[b], item[b] = GREW, last
        else:
            change[b], whole[b] = OTHER, False
        seen[b] = now[b]
    return change, item
