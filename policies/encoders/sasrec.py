"""SASRec: causal self-attention over a user's items. Kang & McAuley (2018).

Pre-norm blocks, sampled softmax instead of one negative (Klenitskiy & Vasilev 2023), rotary
instead of learnt positions (Su et al. 2021), so that only distances matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from policies.encoders.layers import Dropout, Noise, rotary_table, rotate
from policies.encoders.neural import NeuralEncoder
from policies.encoders.packed import Packed, causal_attention, last_attention
from policies.encoders.train import Network, TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SASRecConfig(TrainConfig):
    """The published sizes for MovieLens-1M, with a shorter memory."""

    dim: int = 64  # D
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.dim % (2 * self.heads) or self.blocks < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"need an even dim / heads, blocks >= 1, 0 <= dropout < 1: {self}")


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, config: SASRecConfig, noise: Noise) -> None:
        super().__init__()
        self.heads = config.heads
        self.before, self.between = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.ask = nn.Linear(config.dim, 3 * config.dim)  # query, key, value
        self.answer = nn.Linear(config.dim, config.dim)
        self.widen, self.narrow = (nn.Linear(config.dim, config.dim) for _ in range(2))
        self.drop = Dropout(config.dropout, noise)

    def forward(self, x: Tensor, turn: Tensor, packed: Packed) -> Tensor:
        """x (N, D), turn (N, width / 2) -> (N, D)."""
        q, k, v = self._heads(self.ask(self.before(x)), turn)
        return self._finish(x, causal_attention(q, k, v, packed))

    def last(self, x: Tensor, turn: Tensor, packed: Packed) -> Tensor:
        """The same for each sequence's last event only: (N, D) -> (B, D)."""
        q, k, v = self._heads(self.ask(self.before(x)), turn)
        return self._finish(x[packed.last], last_attention(q[packed.last], k, v, packed))

    def _heads(self, mixed: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = mixed.view(len(mixed), 3, self.heads, -1)  # (N, 3, heads, width)
        turned = rotate(parts[:, :2], turn)
        return turned[:, 0], turned[:, 1], parts[:, 2]

    def _finish(self, x: Tensor, heard: Tensor) -> Tensor:
        x = x + self.drop(self.answer(heard.reshape(x.shape)))
        wide = F.relu(self.widen(self.between(x)))
        out: Tensor = x + self.drop(self.narrow(wide))
        return out


class SASRecNet(Network):
    """Item vectors, blocks, a last norm; the item vectors are also the output layer."""

    turns: Tensor

    def __init__(self, config: SASRecConfig, n_items: int) -> None:
        super().__init__()
        noise = Noise(config.seed + 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.table = nn.Parameter(torch.randn(n_items, config.dim) * config.dim**-0.5)
            self.blocks = nn.ModuleList(Block(config, noise) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.drop = Dropout(config.dropout, noise)
        turns = rotary_table(config.length, config.dim // config.heads)
        self.register_buffer("turns", turns, persistent=False)

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""
        x, turn = self._start(packed)
        for block in self.blocks:
            x = block(x, turn, packed)
        out: Tensor = self.norm(x)
        return out

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""
        x, turn = self._start(packed)
        for block in self.blocks[:-1]:
            x = block(x, turn, packed)
        x = self.blocks[-1].last(x, turn, packed)  # type: ignore[operator]
        out: Tensor = self.norm(x)
        return out

    def _start(self, packed: Packed) -> tuple[Tensor, Tensor]:
        scale = self.table.shape[1] ** 0.5  # norm 1 vectors to entries of size 1
        return self.drop(self.table[packed.items] * scale), self.turns[packed.position]


class SASRec(NeuralEncoder):
    """SASRec behind the encoder contract."""

    name = "sasrec"

    def __init__(self, config: SASRecConfig | None = None) -> None:
        super().__init__(config or SASRecConfig())

    def _network(self, n_items: int) -> SASRecNet:
        return SASRecNet(self.config, n_items)
