"""The supervised encoder's own scores of the candidates, for an actor to lean on.

An actor sees the encoder's state h and the item vectors v, but h . v, which the encoder was fitted
for, is a product of the two, and PPO had found little of it after a million decisions. Here the
actor is given the product and learns one gate: when to follow it. Residual policy learning (Silver
et al., 2018) on an encoder instead of a controller.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.base import Encoder

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
ROWS = 4096  # histories that the scale is taken from, evenly spread
TINY = 1e-12  # variance below which scores are all alike


def relevance(
    encoder: Encoder, histories: I32, items: F32, *, centre: F32 | float, scale: F32 | float
) -> F32:
    """Weights (De,) with sum_d weight_d z_d x_ad = (h - centre) . (v_a - mean v) / s.

    z = (h - centre) / scale is the encoder's part of the state, x = items (A, De) that of
    `item_table(..., as_one=True)`; s makes the products over all items and some of these histories
    (B, H) have variance 1. What a centre leaves out is the same for all users, and the actor's item
    biases have it, or the same for all items. Zeros where the encoder tells no user from another.
    """
    some = histories[:: max(1, len(histories) // ROWS)]
    size = encoder.state_size
    weight = scale * encoder.item_vectors.std(axis=0) * np.float32(size**0.5)
    own = (encoder.encode(some) - centre) / scale * weight
    own = own - own.mean(axis=0)
    variance = float(((own.T @ own / len(own)) * (items.T @ items / len(items))).sum())
    out = weight / variance**0.5 if variance > TINY else np.zeros(size)
    return np.asarray(out, np.float32)


class Relevance(nn.Module):
    """What the encoder's scores add to an actor's query: gate(latent) times them.

    weight: (De,) of `relevance`. state_at, item_at: where the encoder's part of the features and of
    the item vectors (width Di) begins.
    """

    def __init__(
        self, weight: Tensor, *, latent: int, state_at: int, item_at: int, width: int
    ) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", weight)
        self.seen = slice(state_at, state_at + len(weight))
        self.around = (item_at, width - item_at - len(weight))
        self.gate = nn.Linear(latent, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)  # one standard deviation of the encoder's scores

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Features (B, D), latent (B, L) -> (B, Di)."""
        own = self.gate(latent) * features[:, self.seen] * self.weight
        return torch.nn.functional.pad(own, self.around)
