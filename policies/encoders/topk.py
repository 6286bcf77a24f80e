"""The best K items of each user without ever holding the whole table of scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 128  # users scored at once
WIDE = 8_192  # items scored at once: ROWS x WIDE scores stay in the cache
FOLD = 16  # scores that one maximum stands for


class Top(NamedTuple):
    """K items of each of B users, best first."""

    items: NDArray[np.int32]  # (B, K)
    scores: NDArray[np.float32]  # (B, K)


def top_k(states: NDArray[np.float32], vectors: NDArray[np.float32], k: int) -> Top:
    """The K items with the largest states @ vectors.T, exact, in blocks of users and items.

    Within a block, item j belongs to the group j mod G; a user's best K items all lie in the K
    groups of the largest maxima, so that only K * FOLD scores are sorted.

    Args:
        states: (B, D).
        vectors: (A, D).
        k: 1..A.

    Raises:
        ValueError: k is outside 1..A.
    """
    if not 1 <= k <= len(vectors):
        raise ValueError(f"the best {k} of {len(vectors)} items do not exist")
    whole = torch.from_numpy(np.ascontiguousarray(states))
    table = torch.from_numpy(vectors)
    starts = range(0, len(table), WIDE)
    blocks = [_padded(table[first : first + WIDE]) for first in starts]
    items = np.empty((len(states), k), np.int32)
    scores = np.empty((len(states), k), np.float32)
    with torch.inference_mode():
        for first in range(0, len(states), ROWS):
            rows = whole[first : first + ROWS]
            parts = [_best(rows, block, size, k) for block, size in blocks]
            ids = torch.cat([p + start for (p, _), start in zip(parts, starts, strict=True)], 1)
            value, place = torch.cat([v for _, v in parts], 1).topk(k)
            items[first : first + ROWS] = ids.gather(1, place).numpy()
            scores[first : first + ROWS] = value.numpy()
    return Top(items, scores)


def _padded(block: Tensor) -> tuple[Tensor, int]:
    """(the block with rows of zeros up to a multiple of FOLD, its true size)."""
    more = -len(block) % FOLD
    return torch.nn.functional.pad(block, (0, 0, 0, more)), len(block)


def _best(rows: Tensor, block: Tensor, size: int, k: int) -> tuple[Tensor, Tensor]:
    """(places in the block, scores) of the best min(k, size), in no order."""
    score = rows @ block.T  # (n, G * FOLD)
    score[:, size:] = -torch.inf
    groups = score.shape[1] // FOLD
    if groups <= k:
        value, place = score.topk(min(k, size), sorted=False)
        return place, value
    folded = score.view(len(rows), FOLD, groups)
    chosen = folded.amax(1).topk(k, sorted=False).indices  # (n, k) groups
    some = folded.gather(2, chosen[:, None].expand(-1, FOLD, -1)).flatten(1)  # (n, FOLD * k)
    value, at = some.topk(k, sorted=False)
    return at // k * groups + chosen.gather(1, at % k), value
