"""Serving states: what an encoder stores of each user, so that one more event costs little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class State(Protocol):
    """B users' states, advanced in place by `Encoder.step`."""

    @property
    def vectors(self) -> F32:
        """(B, D): `encode` of the histories so far (read-only)."""

    @property
    def nbytes(self) -> int:
        """Size in memory."""

    def reset(self, rows: ArrayLike) -> None:
        """Users (positions or a mask) that start anew with an empty history."""


class HistoryState:
    """The state of an encoder without a cheaper one: the ids of the last items."""

    def __init__(self, encoder: Any, batch: int) -> None:
        self._encoder = encoder
        self.items: I32 = np.full((batch, encoder.context_length), -1, np.int32)  # oldest first

    @property
    def vectors(self) -> F32:
        """(B, D), computed from the whole history at each call."""
        out: F32 = self._encoder.encode(self.items)
        return out

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.items.nbytes

    def reset(self, rows: ArrayLike) -> None:
        """Users that start anew."""
        self.items[np.asarray(rows)] = -1

    def append(self, items: I32) -> None:
        """One more event for each user whose item is not -1."""
        active = items >= 0
        self.items[active, :-1] = self.items[active, 1:]
        self.items[active, -1] = items[active]


class ServesHistory:
    """`initial_state`, `step` and `state_scores` for encoders that look at few items anyway."""

    n_items: int

    def initial_state(self, batch: int) -> HistoryState:
        """`batch` users with empty histories."""
        return HistoryState(self, batch)

    def step(self, state: HistoryState, items: ArrayLike) -> HistoryState:
        """One more event for each user, -1 = none; the state is advanced in place."""
        state.append(check_events(items, len(state.items), self.n_items))
        return state

    def state_scores(self, state: HistoryState) -> F32:
        """(B, A): `scores` of the histories so far."""
        out: F32 = self.scores(state.items)  # type: ignore[attr-defined]
        return out


@dataclass(slots=True)
class NetworkState:
    """A network's cache, and its output after each user's last event."""

    cache: Any  # attention.Cache or gru4rec.Hidden
    vectors: F32  # (B, D)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return int(self.cache.nbytes) + self.vectors.nbytes

    def reset(self, rows: ArrayLike) -> None:
        """Users that start anew."""
        import torch

        at = np.arange(len(self.vectors))[np.asarray(rows)]
        self.vectors[at] = 0
        self.cache.reset(torch.from_numpy(at))


def check_events(items: ArrayLike, batch: int, n_items: int) -> I32:
    """(B,) one item per user, -1 = no event.

    Raises:
        ValueError: another shape or kind, or an id outside the catalogue; names the row.
    """
    ids = np.asarray(items)
    if ids.shape != (batch,) or ids.dtype.kind not in "iu":
        raise ValueError(f"items must be ({batch},) integers, got {ids.shape} of {ids.dtype}")
    wrong = (ids < -1) | (ids >= n_items)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"items[{row}] = {ids[row]} is outside -1..{n_items - 1}")
    checked: I32 = ids.astype(np.int32, copy=False)
    return checked
