"""Scores of a few items of each row, with their derivative written out.

score(b, c) = query_b . x_{ids[b, c]} + bias_{ids[b, c]}. Gathering the vectors (B, C, D) first and
scattering the bias's gradient costs several times the products themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


def tied_scores(query: Tensor, bias: Tensor, items: Tensor, ids: Tensor) -> Tensor:
    """Scores (B, C), -inf where an id is -1; items get no gradient.

    Args:
        query: (B, D) single precision.
        bias: (A,).
        items: (A, D) vectors.
        ids: (B, C) item ids, -1 = none.
    """
    scores: Tensor = _Tied.apply(query, bias, items, ids)  # type: ignore[no-untyped-call]
    return scores


class _Tied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, bias: Tensor, items: Tensor, ids: Tensor) -> Tensor:
        out = query.new_empty(ids.shape)
        products(query.contiguous().numpy(), bias.numpy(), items.numpy(), ids.numpy(), out.numpy())
        ctx.save_for_backward(items, ids)
        return out

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor, None, None]:
        items, ids = ctx.saved_tensors
        d_query, d_bias = above.new_zeros(len(ids), items.shape[1]), above.new_zeros(len(items))
        above = above.contiguous()
        pull(above.numpy(), items.numpy(), ids.numpy(), d_query.numpy(), d_bias.numpy())
        return d_query, d_bias, None, None


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def products(query: F32, bias: F32, items: F32, ids: I64, out: F32) -> None:
    """The scores into `out` (B, C)."""
    size = query.shape[1]
    for b in range(ids.shape[0]):
        for c in range(ids.shape[1]):
            a = ids[b, c]
            if a < 0:
                out[b, c] = -np.inf
                continue
            total = bias[a]
            for d in range(size):
                total += query[b, d] * items[a, d]
            out[b, c] = total


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def pull(above: F32, items: F32, ids: I64, d_query: F32, d_bias: F32) -> None:
    """Add the gradients of query (B, D) and bias (A,), given that of the scores (B, C)."""
    size = items.shape[1]
    for b in range(ids.shape[0]):
        for c in range(ids.shape[1]):
            a = ids[b, c]
            if a < 0:
                continue
            g = above[b, c]
            d_bias[a] += g
            for d in range(size):
                d_query[b, d] += g * items[a, d]
