"""Numbers for every item, tied to the item vectors: the learners' network and its scores.

`tied_scores` has its derivative written out. Gathering the vectors (B, C, D) first, as autograd
needs, and scattering the bias's gradient cost several times the products themselves; the four lines
that do so are the reference in tests/policies/rl/test_nets.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.slates.compiling import SUMS, njit_cached

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


class ItemNet(nn.Module):
    """f_h(s, a) = q_h(s) . x_a + b_h(s) + b_ha for heads h, and E numbers of the state alone.

    x_a is the item's given vector and, beside it, `learned` numbers of its own. Two hidden layers;
    items cost one dot product each, so the whole catalogue can be scored.
    """

    def __init__(
        self,
        state_size: int,
        items: NDArray[np.float32],
        hidden: int,
        *,
        heads: int = 1,
        extras: int = 0,
        learned: int = 0,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.items: Tensor
        self.register_buffer("items", torch.from_numpy(items))
        self.learned = nn.Parameter(torch.randn(len(items), learned))
        self.item_bias = nn.Parameter(torch.zeros(heads, len(items)))
        self.body = nn.Sequential(
            nn.Linear(state_size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.width = heads * (items.shape[1] + learned + 1)
        self.out = nn.Linear(hidden, self.width + extras)

    def forward(self, state: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """state (B, D) and ids (B, C), C = 0 for every item -> (heads, B, C) and (B, E).

        An empty place (-1) gets some item's number: the caller masks it.
        """
        out = self.out(self.body(state))
        head = out[:, : self.width].unflatten(1, (self.heads, -1)).transpose(0, 1)  # (heads, B, .)
        query, base = head[..., 1:], head[..., :1]
        known = ids.clamp(min=0)
        if ids.shape[1] == 0:
            score = query @ self.vectors().T + self.item_bias[:, None]  # (heads, B, A)
        elif self.learned.numel():
            x = self.vectors()[known]  # (B, C, Dx)
            score = torch.einsum("hbd,bcd->hbc", query, x) + self.item_bias[:, known]
        else:
            pairs = zip(query, self.item_bias, strict=True)
            score = torch.stack([tied_scores(q, bias, self.items, known) for q, bias in pairs])
        return score + base, out[:, self.width :]

    @property
    def entrance(self) -> nn.Linear:
        """The layer that reads the state."""
        layer = self.body[0]
        assert isinstance(layer, nn.Linear)
        return layer

    @torch.no_grad()
    def scale_outputs(self, by: float, heads: tuple[int, ...]) -> None:
        """Multiply what these heads and all extras give."""
        size = self.width // self.heads
        rows = [torch.arange(h * size, (h + 1) * size) for h in heads]
        every = torch.cat([*rows, torch.arange(self.width, len(self.out.weight))])
        self.out.weight[every] *= by
        self.out.bias[every] *= by
        self.item_bias[list(heads)] *= by

    def vectors(self) -> Tensor:
        """(A, Dx): given and learned parts side by side."""
        return torch.cat([self.items, self.learned], dim=1) if self.learned.numel() else self.items


def tied_scores(query: Tensor, bias: Tensor, items: Tensor, ids: Tensor) -> Tensor:
    """score(b, c) = query_b . x_{ids[b, c]} + bias_{ids[b, c]}; items get no gradient.

    Args:
        query: (B, D) single precision.
        bias: (A,).
        items: (A, D) vectors.
        ids: (B, C) item ids, -1 = none: its score is -inf.
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
        add_gradients(above.numpy(), items.numpy(), ids.numpy(), d_query.numpy(), d_bias.numpy())
        return d_query, d_bias, None, None


@njit_cached(SUMS)
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


@njit_cached(SUMS)
def add_gradients(above: F32, items: F32, ids: I64, d_query: F32, d_bias: F32) -> None:
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
