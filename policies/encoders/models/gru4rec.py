"""GRU4Rec: a recurrent state that one event updates at constant cost, up to `length` of them.

Hidasi et al. (2016).

With the softmax losses it comes close to attention (Klenitskiy & Vasilev 2023; Petrov &
Macdonald 2022).
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
from policies.encoders.nets.packed import Packed, pack
from policies.encoders.nets.recurrence import gru, gru_step
from policies.encoders.training.config import TrainConfig
from policies.validation import COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class GRU4RecConfig(TrainConfig):
    """One layer, as published; `length` limits the gradient in time and the history that counts."""

    SMALL: ClassVar[Mapping[str, Any]] = {"dim": 32}
    dim: int = 64  # D
    hidden: int | None = None  # R numbers that the recurrence carries along; None: as many as D
    dropout: float = 0.2

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        COUNT.check("dim", self.dim)
        COUNT.check("hidden", self.memory)
        if min(self.dim, self.memory) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"need dim >= 1, hidden >= 1 or None, 0 <= dropout < 1: {self}")

    @property
    def memory(self) -> int:
        """R."""
        return self.dim if self.hidden is None else self.hidden


@dataclass(slots=True)
class Hidden:
    """The serving state; advanced in place."""

    value: Tensor  # (B, R)
    recent: Tensor  # (B, L) ids of the last events, oldest first
    count: Tensor  # (B,) events so far

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.value.nbytes + self.recent.nbytes + self.count.nbytes

    def reset(self, rows: Tensor) -> None:
        """Users that start anew."""
        self.value[rows] = 0
        self.count[rows] = 0

    def append(self, items: Tensor, active: Tensor) -> Tensor:
        """One more event of these users (rows); those whose window the oldest event has left."""
        self.recent[active] = torch.cat([self.recent[active, 1:], items[active, None]], dim=1)
        self.count[active] += 1
        return active[self.count[active] > self.recent.shape[1]]


class GRUNet(Network):
    """Item vectors, one GRU layer, a projection back into the space of the item vectors."""

    def __init__(self, config: GRU4RecConfig, n_items: int) -> None:
        noise = Noise(config.seed + 1)
        with seeded(config.seed):
            table = item_table(n_items, config.dim)
            super().__init__(table, config.temperature, Dropout(config.dropout, noise))
            self.event = nn.Linear(config.dim, 3 * config.memory)  # to the gates r, z and to n
            self.state = nn.Linear(config.memory, 3 * config.memory)
            self.project = nn.Linear(config.memory, config.dim)
        self.norm = last_norm(config.dim, config.temperature)
        self.window = config.length

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""
        return self._project(self._recur(packed))

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""
        return self._project(self._recur(packed)[packed.last])

    def start(self, batch: int) -> Hidden:
        """The serving state of `batch` users without events."""
        value = self.table.new_zeros(batch, self.project.in_features)
        recent = torch.zeros(batch, self.window, dtype=torch.int64)
        return Hidden(value, recent, torch.zeros(batch, dtype=torch.int64))

    def step(self, cache: Hidden, items: Tensor, active: Tensor) -> Tensor:
        """Add one event, items (B,), to the users in `active` (rows) -> (B, D), undefined
        elsewhere. Where an event leaves the window of `length`, the others are read again: a
        recurrence cannot forget one of them."""
        full = cache.append(items, active)
        inputs = self.event(self.embed(items))
        after = gru_step(inputs, self.state.weight, self.state.bias, cache.value)
        if len(active) == len(after):  # the usual case, without looking rows up
            cache.value.copy_(after)
        else:
            cache.value[active] = after[active]
        if len(full):
            stop = (full.numpy() + 1) * self.window
            packed = pack(cache.recent.flatten().numpy(), stop - self.window, stop)
            rows = full[torch.from_numpy(packed.order)]
            cache.value[rows] = self._recur(packed)[packed.last]
            after = cache.value
        return self._project(after)

    def _recur(self, packed: Packed) -> Tensor:
        """(N, R): the recurrent state after each event, computed step by step."""
        place = torch.argsort(packed.position, stable=True)  # rows in order of time
        sizes = packed.batch_sizes()
        inputs = self.event(self.embed(packed.items)[place])
        states = gru(inputs, self.state.weight, self.state.bias, sizes)
        return torch.empty_like(states).index_copy(0, place, states)

    def _project(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.norm(self.project(self.drop(hidden)))
        return out


class GRU4Rec(NeuralEncoder):
    """GRU4Rec behind the encoder contract."""

    name = "gru4rec"

    def __init__(self, config: GRU4RecConfig | None = None) -> None:
        super().__init__(config or GRU4RecConfig())

    def _network(self, n_items: int) -> GRUNet:
        return GRUNet(self.config, n_items)
