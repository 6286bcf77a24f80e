"""A plain PyTorch loop to hold speeds against: the same SASRec out of library layers, padded.

What one writes first (PyTorch's own tutorial layers, every window padded to the full length, one
fused cross-entropy over the catalogue). Its speed on this machine tells how fast the machine is.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.data.sequences import Sequences

ROWS = 64  # windows of one step


class PlainSASRec(nn.Module):
    """Learnt positions, `nn.TransformerEncoder`, tied output; 0 is the pad."""

    def __init__(self, n_items: int, *, dim: int, length: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.places = nn.Embedding(length, dim)
        layer = nn.TransformerEncoderLayer(
            dim, 1, dim, dropout, batch_first=True, norm_first=True, activation="relu"
        )
        self.blocks = nn.TransformerEncoder(layer, 2, nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, L) item ids from 1, 0 = pad -> (B, L, D)."""
        length = ids.shape[1]
        later = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.items(ids) + self.places(torch.arange(length))
        out: Tensor = self.blocks(x, mask=later, is_causal=True)
        return out


def speeds(data: Sequences, *, dim: int, length: int, epochs: int) -> list[float]:
    """Targets per CPU-second of each epoch after a first one that warms up; full softmax."""
    ids = padded(data, length + 1)
    torch.manual_seed(0)
    network = PlainSASRec(data.n_items, dim=dim, length=length, dropout=0.2)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    rng, rates = np.random.default_rng(0), []
    for _ in range(epochs + 1):
        begun, count = time.process_time(), 0
        for rows in np.array_split(rng.permutation(len(ids)), -(-len(ids) // ROWS)):
            count += _learn(network, optimizer, torch.from_numpy(ids[rows]))
        rates.append(count / (time.process_time() - begun))
    return rates[1:]


def padded(data: Sequences, length: int) -> NDArray[np.int64]:
    """(P, length): whole histories cut into windows, ids from 1, zeros after the last event."""
    pieces = data.windows(length)
    out = np.zeros((len(pieces), length), np.int64)
    out[np.arange(length) < pieces.lengths[:, None]] = pieces.items + 1
    return out


def _learn(network: PlainSASRec, optimizer: Any, ids: Tensor) -> int:
    hidden, target = network(ids[:, :-1]), ids[:, 1:]
    real = target > 0
    logits = hidden[real] @ network.items.weight[1:].T
    optimizer.zero_grad()
    loss: Any = nn.functional.cross_entropy(logits, target[real] - 1)
    loss.backward()
    optimizer.step()
    return int(real.sum())
