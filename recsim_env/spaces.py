"""Spaces of slates and of observations; every bound is finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue
from recsim_env.model import Span

MOST_STEPS, MOST_MINUTES = 1e9, 1e9  # bounds of the session's sums; no session comes near them


class SlateSpace(spaces.MultiDiscrete):
    """Slates (K,), or (N, K) of them: MultiDiscrete([C] * K) whose samples repeat no item."""

    def __init__(self, nvec: NDArray[np.integer], seed: int | np.random.Generator | None = None):
        super().__init__(nvec, seed=seed)
        if self.nvec.shape[-1] > self.nvec.min():
            raise ValueError(
                f"a slate of {self.nvec.shape[-1]} from {self.nvec.min()} items must repeat one; "
                "raise n_candidates or lower slate_size"
            )

    def sample(self, mask: Any = None, probability: Any = None) -> NDArray[np.int64]:
        """Distinct items, uniformly among those that `mask` (C,) or (N, C) allows."""
        if probability is not None:
            raise ValueError("a slate space samples uniformly; draw weighted slates from a policy")
        rows = self.nvec.reshape(-1, self.nvec.shape[-1])
        keys = self.np_random.random((len(rows), int(rows[0, 0])))
        if mask is not None:
            keys = np.where(np.asarray(mask, bool), keys, 2.0)
        order = np.argpartition(keys, np.arange(rows.shape[1]), axis=1)[:, : rows.shape[1]]
        return order.reshape(self.nvec.shape).astype(np.int64)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same slates."""
        return isinstance(other, SlateSpace) and np.array_equal(self.nvec, other.nvec)


@batch_space.register(SlateSpace)
def _batch_slates(space: SlateSpace, n: int = 1) -> SlateSpace:
    return SlateSpace(np.tile(space.nvec, (n, 1)), seed=space.np_random.spawn(1)[0])


def action_space(slate_size: int, size: int) -> spaces.Discrete | SlateSpace:
    """What to show one user: an index below `size`, or K distinct ones."""
    if slate_size == 1:
        return spaces.Discrete(size)
    return SlateSpace(np.full(slate_size, size))


def span_box(span: Span, extra: Span | None = None) -> spaces.Box:
    """A box (F,) over the entries of a span, and of another after it."""
    low, high = [], []
    for part in (span, extra or Span((), 0.0, 0.0)):
        low.append(np.broadcast_to(np.asarray(part.low, np.float32), len(part.names)))
        high.append(np.broadcast_to(np.asarray(part.high, np.float32), len(part.names)))
    return spaces.Box(np.concatenate(low), np.concatenate(high), dtype=np.float32)


SESSION = Span(
    ("steps", "watch_time", "quality_time"),
    (0, 0, -MOST_MINUTES),
    (MOST_STEPS,) * 2 + (MOST_MINUTES,),
)


def observation_space(
    *,
    catalogue: Catalogue,
    features: NDArray[np.float32],
    history_length: int,
    n_candidates: int | None,
    responses: Span,
    user: Span,
) -> spaces.Dict:
    """The observation of one user: a history of H, the user's vector, and C candidates if drawn."""
    n, h = len(catalogue), history_length
    response = span_box(responses)
    zero = np.zeros_like(response.low)
    parts: dict[str, spaces.Space[Any]] = {
        "history_items": spaces.Box(-1, n - 1, (h,), np.int32),
        "history_responses": spaces.Box(
            np.tile(np.minimum(response.low, zero), (h, 1)),
            np.tile(np.maximum(response.high, zero), (h, 1)),
            dtype=np.float32,
        ),
        "user": span_box(user, SESSION),
    }
    if n_candidates is not None:
        low, high = float(features.min()), float(features.max())
        shape = (n_candidates, features.shape[1])
        parts["candidates"] = spaces.Box(0, n - 1, (n_candidates,), np.int32)
        parts["candidate_features"] = spaces.Box(low, max(high, low + 1), shape, np.float32)
    return spaces.Dict(parts)


def flat(space: Any) -> spaces.Dict:
    """The Dict of one observation with every table as one vector, row after row."""
    return spaces.Dict({name: _flat_box(part) for name, part in space.spaces.items()})


def _flat_box(box: Any) -> spaces.Box:
    return spaces.Box(box.low.reshape(-1), box.high.reshape(-1), dtype=box.dtype)
