"""A learnt causal filter in the place of attention: SASRec's blocks, mixed over time by taps.

Filters instead of attention: FMLP-Rec (Zhou et al. 2022), BSARec (Shin et al. 2024), WEARec (2026).
Here they are causal sums over the last W events, so that all positions of a window are trained at
once, and serving stores W inputs of each block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.nets.filters import FilterBlock, FilterNet
from policies.encoders.nets.layers import Noise, item_table, seeded
from policies.encoders.training.config import TrainConfig
from policies.validation import COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalFilterConfig(TrainConfig):
    """Sizes as in SASRec; `length` is the number of taps W."""

    SMALL: ClassVar[Mapping[str, Any]] = {"dim": 32, "blocks": 1}
    dim: int = 64  # D
    blocks: int = 2
    dropout: float = 0.2

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        COUNT.check_all(self, "dim", "blocks")
        if min(self.dim, self.blocks) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"need dim >= 1, blocks >= 1, 0 <= dropout < 1: {self}")


class CausalFilter(NeuralEncoder):
    """The filter network behind the encoder contract."""

    name = "filter"

    def __init__(self, config: CausalFilterConfig | None = None) -> None:
        super().__init__(config or CausalFilterConfig())
        self.context_length = self.config.blocks * (self.config.length - 1) + 1

    def _network(self, n_items: int) -> FilterNet:
        config: CausalFilterConfig = self.config
        noise = Noise(config.seed + 1)
        with seeded(config.seed):
            table = item_table(n_items, config.dim)
            sizes = (config.dim, config.length, config.dropout, noise)
            blocks = [FilterBlock(*sizes) for _ in range(config.blocks)]
        return FilterNet(table, blocks, config.temperature, config.dropout, noise)
