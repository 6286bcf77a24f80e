"""eSASRec: SASRec with gated LiGR layers and sampled softmax. Tikhonovich et al. (2025).

LiGR (Borisyuk et al., LinkedIn 2024): each sublayer's output is multiplied by a learnt gate of
its input before it joins the stream; the feed-forward net is a SwiGLU (Shazeer 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.nets.attention import Attention, Block, CausalNet
from policies.encoders.nets.layers import Dropout, Noise, item_table, seeded
from policies.encoders.training.config import TrainConfig
from policies.validation import COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class ESASRecConfig(TrainConfig):
    """Sizes as in SASRec; the wider feed-forward net is LiGR's."""

    SMALL: ClassVar[Mapping[str, Any]] = {"dim": 32, "blocks": 1}
    dim: int = 64  # D
    blocks: int = 2
    heads: int = 2
    widen: int = 2  # hidden width of the feed-forward net in units of dim
    dropout: float = 0.2

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        COUNT.check_all(self, "dim", "blocks", "heads", "widen")
        if self.dim % (2 * self.heads) or min(self.blocks, self.widen) < 1:
            raise ValueError(f"need an even dim / heads, blocks >= 1, widen >= 1: {self}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"need 0 <= dropout < 1: {self}")


class LiGRBlock(Block):
    """x + attention(norm(x)) * gate, then x + SwiGLU(norm(x)) * gate."""

    def __init__(self, config: ESASRecConfig, noise: Noise) -> None:
        super().__init__()
        dim, wide = config.dim, config.widen * config.dim
        self.attention = Attention(dim, config.heads, config.length)
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.gate, self.second_gate = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.into, self.out = nn.Linear(dim, 2 * wide, bias=False), nn.Linear(wide, dim, bias=False)
        self.drop = Dropout(config.dropout, noise)

    def attention_input(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        out: Tensor = self.before(x)
        return out

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """(N, D), (N, D) -> (N, D)."""
        x = self.drop.join(x, attended * torch.sigmoid(self.gate(x)))
        signal, switch = self.into(self.between(x)).chunk(2, dim=-1)  # (N, wide) each
        update = self.out(signal * F.silu(switch)) * torch.sigmoid(self.second_gate(x))
        return self.drop.join(x, update)


class ESASRec(NeuralEncoder):
    """eSASRec behind the encoder contract."""

    name = "esasrec"

    def __init__(self, config: ESASRecConfig | None = None) -> None:
        super().__init__(config or ESASRecConfig())
        self.context_length = self.config.blocks * (self.config.length - 1) + 1

    def _network(self, n_items: int) -> CausalNet:
        config: ESASRecConfig = self.config
        noise = Noise(config.seed + 1)
        with seeded(config.seed):
            table = item_table(n_items, config.dim)
            blocks = [LiGRBlock(config, noise) for _ in range(config.blocks)]
        return CausalNet(table, blocks, config.temperature, config.dropout, noise)
