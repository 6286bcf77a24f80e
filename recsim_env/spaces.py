"""Spaces of slates and of observations; every bound is finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from recsim_env.catalogue import Catalogue
from recsim_env.model import Span

MOST_STEPS, MOST_MINUTES = 1e9, 1e9  # bounds of the session's sums; no session comes near them


def allowed_items(mask: Any, n: int, k: int, c: int) -> NDArray[np.bool_]:
    """A mask of N slates of K from C items as (N, K, C), or (N, 1, C): the same in all positions.

    Raises ValueError for another shape, and for values other than 0 and 1.
    """
    try:
        given = np.asarray(mask)
        flags = given.astype(np.bool_)
    except ValueError as error:
        raise ValueError(f"the mask's arrays differ in length: {error}") from None
    if given.dtype.kind not in "biuf" or not np.array_equal(flags, given):
        raise ValueError("the mask holds other values than 0 and 1")
    shapes: dict[tuple[int, ...], tuple[int, int]] = {
        (n, k, c): (n, k),
        (n, k * c): (n, k),
        (k * c,): (1, k),
        (n, c): (n, 1),
        (c,): (1, 1),
    }
    if n == 1:
        shapes[k, c] = (1, k)
    if given.shape not in shapes:
        raise ValueError(
            f"the mask has shape {given.shape}: give {(c,)} for all positions, {(k * c,)} or a "
            f"tuple of {k} arrays {(c,)} for each, or one of these for each of {n} slates"
        )
    rows, places = shapes[given.shape]
    return np.broadcast_to(flags.reshape(rows, places, c), (n, places, c))


def masked_slates(
    keys: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    k: int,
    rng: np.random.Generator,
) -> NDArray[np.integer]:
    """Slates (N, K) of distinct allowed items: the K least keys (N, C) where positions are alike.

    Raises ValueError naming the first slate that the mask leaves too few items for.
    """
    alike = (allowed == allowed[:, :1]).all()
    few = allowed.any(axis=1).sum(axis=1) < k
    if few.any():
        row = int(np.argmax(few))
        raise ValueError(
            f"the mask allows {int(allowed[row].any(axis=0).sum())} items in slate {row}: a slate "
            f"of {k} positions needs at least {k}"
        )
    if not alike:
        return np.stack([_distinct(one, rng) for one in allowed])
    order = np.argpartition(np.where(allowed[:, 0], keys, 2.0), np.arange(k), axis=1)
    return order[:, :k]


def _distinct(allowed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.integer]:
    """One slate (K,) of distinct items, each allowed (K, C) in its position: drawn position by
    position until none repeats, which makes all such slates alike; where that hardly ever happens,
    by a random assignment."""
    if allowed.any(axis=1).all():
        for _ in range(200):
            keys = np.where(allowed, rng.random(allowed.shape), 2.0)
            if len(set(slate := keys.argmin(axis=1).tolist())) == len(slate):
                return np.array(slate)
    try:
        cost = np.where(allowed, rng.random(allowed.shape), np.inf)
        return np.asarray(linear_sum_assignment(cost)[1])
    except ValueError:
        raise ValueError(
            "no slate satisfies the mask: its positions do not have different items to hold"
        ) from None


class SlateSpace(spaces.MultiDiscrete):
    """Slates (K,), or (N, K) of them: MultiDiscrete([C] * K) whose samples repeat no item.

    It contains what a step of its environment takes: with `distinct` slates of different items,
    without it all indices below C, since the environment then fixes repeats itself.
    """

    distinct = False

    def __init__(
        self,
        nvec: NDArray[np.integer],
        seed: int | np.random.Generator | None = None,
        *,
        distinct: bool = False,
    ):
        super().__init__(nvec, seed=seed)
        if distinct:
            self.distinct = distinct
        if self.nvec.shape[-1] > self.nvec.min():
            raise ValueError(
                f"a slate of {self.nvec.shape[-1]} from {self.nvec.min()} items must repeat one; "
                "raise n_candidates or lower slate_size"
            )

    def sample(self, mask: Any = None, probability: Any = None) -> NDArray[np.int64]:
        """Distinct items, uniformly among the slates that a mask allows.

        mask: 0 or 1 for every item, (C,); for every item in every position, as the (K * C,) of
        `RecEnv.action_masks` or as Gymnasium's tuple of K arrays (C,); or one of these for each of
        the N slates. Raises ValueError for another mask, and for one that no slate satisfies.
        """
        if probability is not None:
            raise ValueError("a slate space samples uniformly; draw weighted slates from a policy")
        n, k, c = self.nvec.size // self.nvec.shape[-1], self.nvec.shape[-1], int(self.nvec.min())
        keys = self.np_random.random((n, c))
        if mask is None:
            order = np.argpartition(keys, np.arange(k), axis=1)[:, :k]
            return order.reshape(self.nvec.shape).astype(np.int64)
        allowed = allowed_items(mask, n, k, c)
        slates = masked_slates(keys, allowed, k, self.np_random)
        return slates.reshape(self.nvec.shape).astype(np.int64)

    def contains(self, x: Any) -> bool:
        """Whether `step` takes it: whole numbers of this shape in 0..C-1, where `distinct` no item
        twice in a slate."""
        if not _whole_below(x, self.nvec):
            return False
        slates = np.sort(np.asarray(x).reshape(-1, self.nvec.shape[-1]), axis=1)
        return not self.distinct or bool((slates[:, 1:] != slates[:, :-1]).all())

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same slates."""
        return (
            isinstance(other, SlateSpace)
            and np.array_equal(self.nvec, other.nvec)
            and self.distinct == other.distinct
        )


class ItemSpace(spaces.Discrete):
    """One item to show: Discrete(C), which also takes masks of 0 and 1 of any type."""

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """An item uniformly among those that a mask (C,) allows, or by a probability (C,).

        Raises ValueError for another mask, and for one that allows no item.
        """
        if mask is None or probability is not None:
            return super().sample(mask, probability)
        keys = self.np_random.random((1, int(self.n)))
        allowed = allowed_items(mask, 1, 1, int(self.n))
        return np.int64(masked_slates(keys, allowed, 1, self.np_random)[0, 0])

    def contains(self, x: Any) -> bool:
        """Whether `step` takes it: a whole number in 0..C-1."""
        return _whole_below(x, np.array(self.n))


class ItemBatchSpace(spaces.MultiDiscrete):
    """An item for each of N users: MultiDiscrete([C] * N), which also takes masks of all users."""

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """Items (N,), each uniformly among those that a mask (C,) or (N, C) allows.

        Raises ValueError for another mask, and for one that allows some user no item.
        """
        if mask is None or probability is not None:
            return super().sample(mask, probability)
        n, c = len(self.nvec), int(self.nvec.min())
        allowed = allowed_items(mask, n, 1, c)
        return masked_slates(self.np_random.random((n, c)), allowed, 1, self.np_random)[:, 0]

    def contains(self, x: Any) -> bool:
        """Whether `step` takes it: whole numbers (N,) in 0..C-1."""
        return _whole_below(x, self.nvec)


def _whole_below(x: Any, nvec: NDArray[np.integer]) -> bool:
    """Whether it is an array (or a list) of whole numbers from 0 on, each below `nvec`."""
    try:
        given = np.asarray(x)
    except ValueError:
        return False
    if given.shape != nvec.shape or given.dtype.kind not in "iu":
        return False
    return bool((given >= 0).all() and (given < nvec).all())


@batch_space.register(SlateSpace)
def _batch_slates(space: SlateSpace, n: int = 1) -> SlateSpace:
    rng = space.np_random.spawn(1)[0]
    return SlateSpace(np.tile(space.nvec, (n, 1)), seed=rng, distinct=space.distinct)


@batch_space.register(ItemSpace)
def _batch_items(space: ItemSpace, n: int = 1) -> ItemBatchSpace:
    return ItemBatchSpace(np.full(n, space.n), seed=space.np_random.spawn(1)[0])


def action_space(slate_size: int, size: int, *, distinct: bool = False) -> ItemSpace | SlateSpace:
    """What to show one user: an index below `size`, or K of them, `distinct` or not."""
    if slate_size == 1:
        return ItemSpace(size)
    return SlateSpace(np.full(slate_size, size), distinct=distinct)


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
    described: bool = True,
) -> spaces.Dict:
    """The observation of one user: a history of H, the user's vector, and C candidates if drawn,
    `described` by their features."""
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
        parts["candidates"] = spaces.Box(0, n - 1, (n_candidates,), np.int32)
    if n_candidates is not None and described:
        low, high = float(features.min()), float(features.max())
        shape = (n_candidates, features.shape[1])
        parts["candidate_features"] = spaces.Box(low, max(high, low + 1), shape, np.float32)
    return spaces.Dict(parts)


def flat(space: Any) -> spaces.Dict:
    """The Dict of one observation with every table as one vector, row after row."""
    return spaces.Dict({name: _flat_box(part) for name, part in space.spaces.items()})


def _flat_box(box: Any) -> spaces.Box:
    return spaces.Box(box.low.reshape(-1), box.high.reshape(-1), dtype=box.dtype)
