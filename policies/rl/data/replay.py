"""Transitions as arrays, and a replay buffer of the last ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Transitions(NamedTuple):
    """B decisions. C = 0 columns of items on offer stand for the whole catalogue."""

    state: F32  # (B, D) before the slate
    slate: I32  # (B, K) item ids, -1 = empty place
    place: I32  # (B,) of the slate that was taken, K = none
    reward: F32  # (B,) in learning units
    alive: F32  # (B,) 1 = the session went on, or was only cut; 0 = the user left
    next_state: F32  # (B, D)
    next_items: I32  # (B, C) item ids on offer next, -1 = not eligible


class Batch(NamedTuple):
    """The same as tensors."""

    state: Tensor
    slate: Tensor
    place: Tensor
    reward: Tensor
    alive: Tensor
    next_state: Tensor
    next_items: Tensor


class Replay:
    """A ring buffer of the last `capacity` decisions, of 8 D + 4 C + 4 K + 12 bytes each."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: Transitions | None = None
        self.at = 0
        self.size = 0

    def add(self, transitions: Transitions) -> None:
        """Keep these rows, in the place of the oldest ones."""
        if self.rows is None:
            self.rows = Transitions(
                *(np.empty((self.capacity, *x.shape[1:]), x.dtype) for x in transitions)
            )
        n = len(transitions.reward)
        index = (self.at + np.arange(n)) % self.capacity
        for column, new in zip(self.rows, transitions, strict=True):
            column[index] = new
        self.at = (self.at + n) % self.capacity
        self.size = min(self.size + n, self.capacity)

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """n rows with replacement; raises ValueError while the ring is empty."""
        if self.rows is None:
            raise ValueError("the replay ring is empty: add decisions before drawing a batch")
        return batch_of(self.rows, rng.integers(self.size, size=n))


def batch_of(transitions: Transitions, index: NDArray[np.int64]) -> Batch:
    """Some rows as tensors; ids become int64, as indices must be."""
    parts = [torch.from_numpy(x[index]) for x in transitions]
    return Batch(*(x.long() if x.dtype == torch.int32 else x for x in parts))


def place_of(slate: I32, consumed: I32) -> I32:
    """The place (B,) of the item taken (B,) in the slate (B, K); K = none of them."""
    match = (slate == consumed[:, None]) & (consumed >= 0)[:, None]
    place: I32 = np.where(match.any(axis=1), match.argmax(axis=1), slate.shape[1]).astype(np.int32)
    return place
