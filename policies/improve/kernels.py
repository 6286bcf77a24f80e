"""What planners see: how alike an item is to what was taken of late, and how the session stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.encoders.base import Encoder
from policies.features import same_catalogue
from policies.observation import Observation, Serving, require

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

WINDOWS = (3, 8, 20)  # last items taken that an item is compared with
PRIOR = 3.0  # empty places added to a window: one item says little of what a user likes
KNOTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # steps between which levels are linear
CELLS = 1 << 22  # numbers in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """Fixed functions of observation and item, so that sums over logs add up."""

    serving: Serving
    encoder: Encoder | None  # frozen
    groups: tuple[F32, ...]  # (A, F) unit vectors of items: indicators, then other numbers

    @classmethod
    def of(cls, serving: Serving, encoder: Encoder | None) -> Self:
        """Indicators (topics) and other numbers of the items' features are compared apart.

        Raises ValueError for an encoder of another catalogue.
        """
        same_catalogue(serving, encoder)
        table = serving.item_features.astype(np.float64)
        varies = np.ptp(table, axis=0) > 0 if len(table) else np.zeros(table.shape[1], bool)
        indicator = ((table == 0) | (table == 1)).all(axis=0)
        groups = (table[:, varies & indicator], table[:, varies & ~indicator])
        return cls(serving, encoder, tuple(directions(g) for g in groups if g.shape[1]))

    @property
    def windows(self) -> tuple[int, ...]:
        """Those that the history is long enough for; the whole history in their place."""
        return tuple(dict.fromkeys(min(w, self.serving.history_length) for w in WINDOWS))

    @property
    def size(self) -> int:
        """P, of an item in an observation."""
        return len(self.groups) * len(self.windows) + 1 + (self.encoder is not None)

    def items(self, obs: Observation, items: I32) -> F64:
        """(B, C, P) of items (B, C), 0 for item -1: cosine to the mean of what was taken of late,
        by window; whether the item is in the history; the encoder's score."""
        out = np.empty((*items.shape, self.size))
        width = max((g.shape[1] for g in self.groups), default=1)
        few = max(1, CELLS // max(items.shape[1] * width, 1))
        for start in range(0, len(items), few):
            rows = slice(start, start + few)
            self._fill(obs.rows(rows), items[rows], out[rows])
        return out

    def _fill(self, obs: Observation, items: I32, out: F64) -> None:
        known = np.maximum(items, 0)
        column = 0
        for group in self.groups:
            means, vectors = self._means(obs, group), group[known]
            for mean in means:
                out[:, :, column] = np.einsum("bf,bcf->bc", mean, vectors)
                column += 1
        again = np.zeros(items.shape, bool)
        for place in obs.history_items.T:
            again |= place[:, None] == items
        out[:, :, column] = again
        if self.encoder is not None:
            state = self.encoder.encode(obs.history_items)
            vectors = self.encoder.item_vectors[known]
            out[:, :, column + 1] = np.einsum("bd,bcd->bc", state, vectors)
        out[items < 0] = 0.0

    def _means(self, obs: Observation, group: F32) -> list[F32]:
        filled = obs.history_items >= 0
        taken = group[np.maximum(obs.history_items, 0)] * filled[..., None]  # (B, H, F)
        return [
            taken[:, -w:].sum(axis=1) / (filled[:, -w:].sum(axis=1) + np.float32(PRIOR))[:, None]
            for w in self.windows
        ]

    @property
    def state_size(self) -> int:
        """Q, of an observation."""
        windows = len(self.windows)
        responses = windows * len(self.serving.response_names)
        return self.serving.user_size + responses + windows * (len(self.groups) + 1)

    def state(self, obs: Observation) -> F64:
        """(B, Q): the user vector; by window, sums of responses, how full it is and how alike its
        items are.

        Raises ValueError where the log lacks a column that this reads.
        """
        require(obs, "consumed")
        require(obs, *("responses",) * bool(self.serving.response_names))
        require(obs, *("context",) * bool(self.serving.user_size))
        filled = obs.history_items >= 0
        parts = [obs.user]
        for w in self.windows:
            parts.append(obs.history_responses[:, -w:].sum(axis=1) / np.float32(w))
            parts.append(filled[:, -w:].mean(axis=1, keepdims=True))
        for group in self.groups:
            parts += [np.square(m).sum(axis=1, keepdims=True) for m in self._means(obs, group)]
        return np.concatenate(parts, axis=1, dtype=np.float64)


def step_levels(step: NDArray[np.integer]) -> F64:
    """(N, len(KNOTS)) hat functions that are 1 at a knot and linear between: they sum to 1."""
    return np.stack([np.interp(step, KNOTS, one) for one in np.eye(len(KNOTS))], axis=1)


def directions(table: F64) -> F32:
    """Rows of the standardised table at length 1."""
    z = (table - table.mean(axis=0)) / table.std(axis=0)
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    return np.asarray(z / np.where(norm > 0, norm, 1.0), np.float32)
