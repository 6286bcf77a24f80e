"""BERT4Rec: attention both ways, trained to fill masked places. Sun et al. (2019).

It needs two to four times the epochs of a causal model and cannot reuse state while serving: each
step is a pass over the whole history. Here with the softmax losses of the other encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.data.sequences import Sequences
from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.nets.layers import (
    Dropout,
    Noise,
    item_table,
    last_norm,
    rotary_speeds,
    rotate,
    seeded,
)
from policies.encoders.nets.network import Examples, Network
from policies.encoders.nets.packed import Packed, full_attention, pack
from policies.encoders.training.config import TrainConfig
from policies.validation import COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class BERT4RecConfig(TrainConfig):
    """Sizes as published; one window in five hides only its last event, as serving does."""

    SMALL: ClassVar[Mapping[str, Any]] = {"dim": 32, "blocks": 1}
    dim: int = 64  # D
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.2
    masked: float = 0.2  # share of events hidden in training

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        COUNT.check_all(self, "dim", "blocks", "heads")
        if self.dim % (2 * self.heads) or self.blocks < 1:
            raise ValueError(f"need an even dim / heads and blocks >= 1: {self}")
        if not (0 < self.masked < 1 and 0 <= self.dropout < 1):
            raise ValueError(f"need 0 < masked < 1 and 0 <= dropout < 1: {self}")


class BERTBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)), without a causal mask."""

    def __init__(self, config: BERT4RecConfig, noise: Noise) -> None:
        super().__init__()
        dim, self.heads = config.dim, config.heads
        self.ask, self.answer = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.drop = Dropout(config.dropout, noise)

    def forward(self, x: Tensor, turn: Tensor, packed: Packed) -> Tensor:
        """x (N, D), turn (N, width / 2) -> (N, D)."""
        parts = self.ask(self.before(x)).view(len(x), 3, self.heads, -1)  # (N, 3, heads, width)
        turned = rotate(parts[:, :2], turn)
        attended = full_attention(turned[:, 0], turned[:, 1], parts[:, 2], packed)
        x = self.drop.join(x, self.answer(attended.flatten(1)))
        return self.drop.join(x, self.narrow(F.gelu(self.widen(self.between(x)))))


class BERTNet(Network):
    """Item vectors and one for the mask, blocks, a last norm."""

    speeds: Tensor  # (width / 2,)

    def __init__(self, config: BERT4RecConfig, n_items: int) -> None:
        noise = Noise(config.seed + 1)
        with seeded(config.seed):
            table = item_table(n_items, config.dim)
            super().__init__(table, config.temperature, Dropout(config.dropout, noise))
            self.mask = nn.Parameter(item_table(1, config.dim))
            self.blocks = nn.ModuleList(BERTBlock(config, noise) for _ in range(config.blocks))
        self.config = config
        self.norm = last_norm(config.dim, config.temperature)
        speeds = rotary_speeds(config.dim // config.heads)
        self.register_buffer("speeds", speeds, persistent=False)

    def examples(
        self, pieces: Sequences, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> Examples:
        """Hide a share of the events of each window; hidden ones are the targets."""
        packed = pack(pieces.items, pieces.offsets[rows], pieces.offsets[rows + 1])
        hidden = rng.random(len(packed.items)) < self.config.masked
        ends = packed.last.numpy()
        only_last = np.repeat(rng.random(len(packed)) < 0.2, packed.lengths)
        hidden[only_last] = False
        hidden[ends[rng.random(len(packed)) < 0.5]] = True
        hidden[ends[only_last[ends]]] = True
        at = torch.from_numpy(np.flatnonzero(hidden))
        items = packed.items.clone()
        items[at] = len(self.table)
        return Examples(replace(packed, items=items), packed.items[at], at)

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state of each place; the id A stands for a hidden item."""
        x = self.embed(packed.items, torch.cat([self.table, self.mask]))
        angle = packed.position[:, None] * self.speeds
        turn = torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
        for block in self.blocks:
            x = block(x, turn, packed)
        out: Tensor = self.norm(x)
        return out

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state of a hidden event after each sequence."""
        sizes = packed.lengths
        stop = np.cumsum(sizes + 1)
        items = np.full(int(stop[-1]), len(self.table), np.int32)
        items[np.delete(np.arange(stop[-1]), stop - 1)] = packed.items.cpu().numpy()
        longer = pack(items, stop - sizes - 1, stop).to(self.table.device)
        return self(longer)[longer.last]  # type: ignore[no-any-return]


class BERT4Rec(NeuralEncoder):
    """BERT4Rec behind the encoder contract."""

    name = "bert4rec"

    def __init__(self, config: BERT4RecConfig | None = None) -> None:
        super().__init__(config or BERT4RecConfig())

    def _network(self, n_items: int) -> BERTNet:
        return BERTNet(self.config, n_items)
