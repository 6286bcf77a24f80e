"""SASRec: causal self-attention over a user's items. Kang & McAuley (2018).

Pre-norm blocks, sampled softmax instead of one negative (Klenitskiy & Vasilev 2023), rotary
instead of learnt positions (Su et al. 2021), so that serving can slide along a history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.nets.attention import Attention, Block, CausalNet
from policies.encoders.nets.layers import Dropout, Noise, item_table, seeded
from policies.encoders.training.config import TrainConfig
from policies.validation import COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class SASRecConfig(TrainConfig):
    """The published sizes for MovieLens-1M, with a shorter memory."""

    SMALL: ClassVar[Mapping[str, Any]] = {"dim": 32, "blocks": 1}
    dim: int = 64  # D
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.2

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        COUNT.check_all(self, "dim", "blocks", "heads")
        if self.dim % (2 * self.heads) or self.blocks < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"need an even dim / heads, blocks >= 1, 0 <= dropout < 1: {self}")


class SASRecBlock(Block):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, config: SASRecConfig, noise: Noise) -> None:
        super().__init__()
        dim = config.dim
        self.attention = Attention(dim, config.heads, config.length)
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.widen, self.narrow = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.drop = Dropout(config.dropout, noise)

    def attention_input(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        out: Tensor = self.before(x)
        return out

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N, D)."""
        x = self.drop.join(x, attended)
        return self.drop.join(x, self.narrow(F.relu(self.widen(self.between(x)))))


class SASRec(NeuralEncoder):
    """SASRec behind the encoder contract."""

    name = "sasrec"

    def __init__(self, config: SASRecConfig | None = None) -> None:
        super().__init__(config or SASRecConfig())
        self.context_length = self.config.blocks * (self.config.length - 1) + 1

    def _network(self, n_items: int) -> CausalNet:
        config: SASRecConfig = self.config
        noise = Noise(config.seed + 1)
        with seeded(config.seed):
            table = item_table(n_items, config.dim)
            blocks = [SASRecBlock(config, noise) for _ in range(config.blocks)]
        return CausalNet(table, blocks, config.temperature, config.dropout, noise)
