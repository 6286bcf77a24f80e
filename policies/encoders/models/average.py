"""The average of the last items' vectors: the baseline of attention and recurrence.

As in CBOW (Mikolov et al. 2013) and the first YouTube network (Covington et al. 2016): a bag, blind
to order. Published comparisons of agents often find it ahead of recurrent nets that learn end to
end from reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.nets.layers import Dropout, Noise, item_table, last_norm, seeded
from policies.encoders.nets.network import Network
from policies.encoders.nets.packed import Packed
from policies.encoders.training.config import TrainConfig
from policies.validation import COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageConfig(TrainConfig):
    """`length` is how many items are averaged."""

    SMALL: ClassVar[Mapping[str, Any]] = {"dim": 32}
    dim: int = 64  # D
    dropout: float = 0.2

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        COUNT.check("dim", self.dim)
        if self.dim < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"need dim >= 1 and 0 <= dropout < 1: {self}")


class AverageNet(Network):
    """Item vectors, the mean of the last ones, a norm; item vectors are the output layer too."""

    def __init__(self, config: AverageConfig, n_items: int) -> None:
        drop = Dropout(config.dropout, Noise(config.seed + 1))
        with seeded(config.seed):
            super().__init__(item_table(n_items, config.dim), config.temperature, drop)
        self.window = config.length
        self.norm = last_norm(config.dim, config.temperature)

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""
        rows = self.drop(nn.functional.embedding(packed.items, self.table))
        out: Tensor = self.norm(trailing_mean(rows, packed.position, self.window))
        return out

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""
        return self(packed)[packed.last]  # type: ignore[no-any-return]


def trailing_mean(rows: Tensor, position: Tensor, window: int) -> Tensor:
    """Mean (N, D) of each row and those before it in its sequence, at most `window` in all.

    Rows of a sequence lie together; position (N,) counts them from 0. Sums are taken in double, so
    that a difference of two of them is exact enough.
    """
    sums = torch.cat([rows.new_zeros(1, rows.shape[1]).double(), rows.double().cumsum(0)])
    count = (position + 1).clamp(max=window)
    end = torch.arange(1, len(rows) + 1, device=rows.device)
    mean = (sums[end] - sums[end - count]) / count[:, None]
    return mean.to(rows.dtype)


class Average(NeuralEncoder):
    """The average behind the encoder contract."""

    name = "average"

    def __init__(self, config: AverageConfig | None = None) -> None:
        super().__init__(config or AverageConfig())

    def _network(self, n_items: int) -> AverageNet:
        return AverageNet(self.config, n_items)
