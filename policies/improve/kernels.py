"""What planners see: how alike an item is to what was taken of late, and how the session stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from policies.encoders.base import Encoder
from policies.features import same_catalogue
from policies.observation import Observation, Serving, candidate_items, require

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

WINDOWS = (3, 8, 20)  # last items taken that an item is compared with
PRIOR = 3.0  # empty places added to a window: one item says little of what a user likes
KNOTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # steps between which levels are linear
CELLS = 1 << 22  # numbers in memory at a time


class Seen(NamedTuple):
    """Observations of B users, and the means of what they took of late."""

    obs: Observation
    means: tuple[tuple[F32, ...], ...]  # (B, F) by group of features and window
    encoded: F32 | None  # (B, D) states of the encoder

    def rows(self, index: slice | NDArray[np.int64]) -> Seen:
        """Of some of the users."""
        means = tuple(tuple(m[index] for m in group) for group in self.means)
        encoded = None if self.encoded is None else self.encoded[index]
        return Seen(self.obs.rows(index), means, encoded)


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """Fixed functions of observation and item, so that sums over logs add up."""

    serving: Serving
    encoder: Encoder | None  # frozen
    groups: tuple[F32, ...]  # (A, F) unit vectors of items: indicators, then other numbers
    _last: list[tuple[Observation, F64, F64]] = field(default_factory=list, init=False, repr=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: nothing of it changes, and copies of a policy share what was seen last."""
        return self

    def on_offer(self, obs: Observation) -> tuple[F64, F64]:
        """(B, C, P) of what the observations offer and (B, Q) of their states. Those of the last
        observations are kept, with a copy of what they were computed from: policies on a path ask
        for the same ones in turn."""
        kept = self._last[0] if self._last else None
        if kept is None or not same_content(kept[0], obs):
            seen = self.seen(obs)
            kept = (obs.rows(np.arange(len(obs))), self.items(seen, None), self.state(seen))
            self._last[:] = [kept]
        return kept[1], kept[2]

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
        longest = self.serving.history_length
        return tuple(dict.fromkeys(min(w, longest) for w in WINDOWS)) if longest else ()

    @property
    def size(self) -> int:
        """P, of an item in an observation."""
        return len(self.groups) * len(self.windows) + 1 + (self.encoder is not None)

    def seen(self, obs: Observation) -> Seen:
        """What of the history is compared with items.

        Raises ValueError where the log lacks a column that planners read, or has other responses.
        """
        require(obs, "consumed")
        require(obs, *("responses",) * bool(self.serving.response_names))
        require(obs, *("context",) * bool(self.serving.user_size))
        if obs.history_responses.shape[2] != len(self.serving.response_names):
            raise ValueError(
                f"{obs.history_responses.shape[2]} responses of each item were observed and the "
                f"policy reads {', '.join(self.serving.response_names) or 'none'}: log these, in "
                "this order"
            )
        filled = obs.history_items >= 0
        counts = [filled[:, -w:].sum(axis=1) for w in self.windows]
        means = []
        for group in self.groups:
            total, edges = np.zeros((len(obs), group.shape[1]), np.float32), iter(self.windows)
            edge = next(edges, 0)
            found: list[F32] = []
            for back in range(
                1, max(self.windows, default=0) + 1
            ):  # a window grows, the latest item first
                items = obs.history_items[:, -back]
                total += group[np.maximum(items, 0)] * filled[:, -back, None]
                if back == edge:
                    found.append(total / (counts[len(found)] + np.float32(PRIOR))[:, None])
                    edge = next(edges, 0)
            means.append(tuple(found))
        encoded = None if self.encoder is None else self.encoder.encode(obs.history_items)
        return Seen(obs, tuple(means), encoded)

    def items(self, seen: Seen, items: I32 | None) -> F64:
        """(B, C, P) of items (B, C), 0 for item -1, or of what is on offer: cosine to the mean of
        what was taken of late, by window; whether the item is in the history; the encoder's
        score."""
        ids = candidate_items(seen.obs, self.serving.n_items) if items is None else items
        whole = items is None and seen.obs.candidates is None
        out, known, column = np.empty((*ids.shape, self.size)), np.maximum(ids, 0), 0
        for group, means in zip(self.groups, seen.means, strict=True):
            out[:, :, column : column + len(means)] = self._products(group, means, known, whole)
            column += len(means)
        again = np.zeros(ids.shape, bool)
        for place in seen.obs.history_items.T:
            again |= place[:, None] == ids
        out[:, :, column] = again
        if self.encoder is not None and seen.encoded is not None:
            vectors, states = self.encoder.item_vectors, (seen.encoded,)
            out[:, :, column + 1 :] = self._products(vectors, states, known, whole)
        out[ids < 0] = 0.0
        return out

    @staticmethod
    def _products(table: F32, states: tuple[F32, ...], known: I32, whole: bool) -> F32:
        """(B, C, len(states)) products of states (B, F) and rows (A, F) of known items (B, C)."""
        out = np.empty((*known.shape, len(states)), np.float32)
        if whole:
            for w, state in enumerate(states):
                out[:, :, w] = state @ table.T
            return out
        few = max(1, CELLS // max(known.shape[1] * table.shape[1], 1))
        for start in range(0, len(known), few):
            rows = slice(start, start + few)
            vectors = table[known[rows]]  # (b, C, F)
            for w, state in enumerate(states):
                out[rows, :, w] = np.einsum("bf,bcf->bc", state[rows], vectors)
        return out

    @property
    def state_size(self) -> int:
        """Q, of an observation."""
        windows = len(self.windows)
        responses = windows * len(self.serving.response_names)
        return self.serving.user_size + responses + windows * (len(self.groups) + 1)

    def state(self, seen: Seen) -> F64:
        """(B, Q): the user vector; by window, sums of responses, how full it is and how alike its
        items are."""
        obs = seen.obs
        filled = obs.history_items >= 0
        parts = [obs.user]
        for w in self.windows:
            parts.append(obs.history_responses[:, -w:].sum(axis=1) / np.float32(w))
            parts.append(filled[:, -w:].mean(axis=1, keepdims=True))
        parts += [np.square(m).sum(axis=1, keepdims=True) for means in seen.means for m in means]
        return np.concatenate(parts, axis=1, dtype=np.float64)


def same_content(a: Observation, b: Observation) -> bool:
    """Whether two records hold the same numbers of what kernels read."""
    if a.lacks != b.lacks or (a.candidates is None) != (b.candidates is None):
        return False
    pairs = (
        (a.history_items, b.history_items),
        (a.history_responses, b.history_responses),
        (a.user, b.user),
        (a.candidates, b.candidates),
    )
    return all(np.array_equal(x, y) for x, y in pairs if x is not None and y is not None)


def step_levels(step: NDArray[np.integer]) -> F64:
    """(N, len(KNOTS)) hat functions that are 1 at a knot and linear between: they sum to 1."""
    return np.stack([np.interp(step, KNOTS, one) for one in np.eye(len(KNOTS))], axis=1)


def directions(table: F64) -> F32:
    """Rows of the standardised table at length 1."""
    z = (table - table.mean(axis=0)) / table.std(axis=0)
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    return np.asarray(z / np.where(norm > 0, norm, 1.0), np.float32)
