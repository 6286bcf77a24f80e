"""The network of the learners here: numbers for every item, tied to the item vectors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.rl.nets.tied import tied_scores


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
        head = (
            out[:, : self.width].unflatten(1, (self.heads, -1)).transpose(0, 1)
        )  # (heads, B, Dx + 1)
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

    def vectors(self) -> Tensor:
        """(A, Dx): given and learned parts side by side."""
        return torch.cat([self.items, self.learned], dim=1) if self.learned.numel() else self.items
