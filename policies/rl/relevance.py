"""The supervised encoder's own scores of the candidates, for an actor to lean on.

An actor sees the encoder's state h and the item vectors v, but h . v, which the encoder was fitted
for, is a product of two inputs: finding it from reward, number by number, takes millions of
decisions. Here the actor is given the product and learns one gate: when to follow it. Residual
policy learning (Silver et al., 2018) on the encoder instead of a controller.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.base import Observation
from policies.features import StateFeatures

F32 = NDArray[np.float32]
ROWS = 4096  # observations that the scale is taken from, evenly spread
TINY = 1e-12  # variance below which scores are all alike


def relevance(state: StateFeatures, obs: Observation, items: F32) -> F32:
    """Weights (De,) with sum_d weight_d z_d x_ad = (h - mean h) . (v_a - mean v) / s.

    z and x are the encoder's parts of the standardised state and of `item_table(..., as_one=True)`;
    s makes the products over all items and some of these observations (B,) have variance 1. What
    the means leave out is the same for all users, and the actor's item biases have it, or the same
    for all items. De = 0 without a frozen encoder; zeros where it tells no user from another.
    """
    if state.encoder is None:
        return np.zeros(0, np.float32)
    size, first = state.encoder.state_size, state.serving.item_features.shape[1]
    weight = state.scale[:size] * state.encoder.item_vectors.std(axis=0) * np.float32(size**0.5)
    some = obs.rows(slice(None, None, max(1, len(obs) // ROWS)))
    z = (state.raw(some)[:, :size] - state.centre[:size]) / state.scale[:size] * weight
    x = items[:, first : first + size]
    variance = float(((z.T @ z / len(z)) * (x.T @ x / len(x))).sum())
    return weight / np.float32(variance**0.5) if variance > TINY else np.zeros_like(weight)


class Relevance(nn.Module):
    """What the encoder's scores add to an actor's query: gate(latent) times them.

    weight: (De,) of `relevance`. state_at, item_at: where the encoder's part of the state and of
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

    def forward(self, obs: Tensor, latent: Tensor) -> Tensor:
        """Observations (B, D + C), latent (B, L) -> (B, Di)."""
        own = self.gate(latent) * obs[:, self.seen] * self.weight
        return torch.nn.functional.pad(own, self.around)
