"""Causal self-attention with a sliding window: over packed sequences, and one event at a time.

Every event attends to the last W events of its own sequence, itself included. Positions are
rotary, so only distances matter and a key never changes once it is written: the cache of W keys
and values holds exactly what a full pass over the whole history would compute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from policies.encoders.nets.layers import Dropout, Noise, last_norm, rotary_speeds, rotate
from policies.encoders.nets.network import Network
from policies.encoders.nets.packed import Packed, causal_attention, last_attention


@dataclass(slots=True)
class Memory:
    """Keys and values of the last W events of B users in one block; slot = event number mod W."""

    keys: Tensor  # (B, heads, W, width)
    values: Tensor  # (B, heads, W, width)


@dataclass(slots=True)
class Cache:
    """The serving state of a whole network; advanced in place."""

    count: Tensor  # (B,) events so far
    memories: list[Memory]

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        tensors = [self.count, *(x for m in self.memories for x in (m.keys, m.values))]
        return sum(x.nbytes for x in tensors)

    def reset(self, rows: Tensor) -> None:
        """Users that start anew; a count of 0 hides their old keys and values."""
        self.count[rows] = 0


class Attention(nn.Module):
    """Multi-head causal attention over the last `window` events."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.ask = nn.Linear(dim, 3 * dim)  # query, key, value
        self.answer = nn.Linear(dim, dim)

    def forward(self, x: Tensor, turn: Tensor, packed: Packed) -> Tensor:
        """x (N, D), turn (N, width / 2) -> (N, D)."""
        q, k, v = self._qkv(x, turn)
        attended = causal_attention(q, k, v, packed, self.window)
        out: Tensor = self.answer(attended.reshape(x.shape))
        return out

    def last(self, x: Tensor, turn: Tensor, packed: Packed) -> Tensor:
        """The attention of each sequence's last event: (N, D) -> (B, D)."""
        q, k, v = self._qkv(x, turn)
        attended = last_attention(q[packed.last], k, v, packed, self.window)
        out: Tensor = self.answer(attended.flatten(1))
        return out

    def step(
        self, x: Tensor, turn: Tensor, memory: Memory, count: Tensor, active: Tensor
    ) -> Tensor:
        """One more event of each of B users: x (B, D), count (B,) events before it -> (B, D).

        Rows outside `active` have no event: nothing is written for them, their result is undefined.
        """
        q, k, v = self._qkv(x, turn)  # (B, heads, width)
        slot = count[active] % self.window
        memory.keys[active, :, slot] = k[active]
        memory.values[active, :, slot] = v[active]
        filled = min(int(count.max()) + 1, self.window)
        keys, values = memory.keys[:, :, :filled], memory.values[:, :, :filled]
        slots = torch.arange(filled, device=x.device)
        real = (slots <= count[:, None])[:, None, None]  # (B, 1, 1, filled)
        attended = nn.functional.scaled_dot_product_attention(q[:, :, None], keys, values, real)
        out: Tensor = self.answer(attended.flatten(1))
        return out

    def empty_memory(self, batch: int) -> Memory:
        """Room for the last events of `batch` users."""
        width = self.answer.in_features // self.heads
        keys, values = self.ask.weight.new_zeros(2, batch, self.heads, self.window, width)
        return Memory(keys, values)

    def _qkv(self, x: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.ask(x).view(len(x), 3, self.heads, -1)  # (N, 3, heads, width)
        turned = rotate(parts[:, :2], turn)
        return turned[:, 0], turned[:, 1], parts[:, 2]


class Block(nn.Module, ABC):
    """Attention and a feed-forward net around a residual stream; each model's file defines them."""

    attention: Attention

    @abstractmethod
    def attention_input(self, x: Tensor) -> Tensor:
        """The input of the attention: (N, D) -> (N, D)."""

    @abstractmethod
    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The stream after the block, from the stream and the attention's output: (N, D)."""


class CausalNet(Network):
    """Item vectors, blocks, a last norm; the item vectors are also the output layer."""

    speeds: Tensor  # (width / 2,) rotary frequencies
    turns: Tensor  # (R, width / 2) rotations of the first positions, made once

    def __init__(
        self,
        table: Tensor,
        blocks: Iterable[Block],
        temperature: float | None,
        dropout: float,
        noise: Noise,
    ) -> None:
        super().__init__(table, temperature, Dropout(dropout, noise))
        self.blocks = nn.ModuleList(blocks)
        self.norm = last_norm(table.shape[1], temperature)
        first = self._stack()[0].attention
        width = first.answer.in_features // first.heads
        self.register_buffer("speeds", rotary_speeds(width), persistent=False)
        near = self._rotation(torch.arange(2 * first.window))
        self.register_buffer("turns", near, persistent=False)

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""
        return self.through(self.embed(packed.items), packed)

    def through(self, x: Tensor, packed: Packed) -> Tensor:
        """As `forward`, for vectors x (N, D) of any kind instead of item vectors."""
        turn = self._turn(packed.position, packed.longest)
        for block in self._stack():
            x = block.finish(x, block.attention(block.attention_input(x), turn, packed))
        out: Tensor = self.norm(x)
        return out

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""
        x, turn = self.embed(packed.items), self._turn(packed.position, packed.longest)
        *lower, top = self._stack()
        for block in lower:
            x = block.finish(x, block.attention(block.attention_input(x), turn, packed))
        x = top.finish(x[packed.last], top.attention.last(top.attention_input(x), turn, packed))
        out: Tensor = self.norm(x)
        return out

    def start(self, batch: int) -> Cache:
        """The serving state of `batch` users without events."""
        memories = [block.attention.empty_memory(batch) for block in self._stack()]
        return Cache(self.table.new_zeros(batch, dtype=torch.int64), memories)

    def step(self, cache: Cache, items: Tensor, active: Tensor) -> Tensor:
        """Add one event, items (B,), to the users in `active` (rows) -> (B, D), undefined
        elsewhere."""
        x, turn = self.embed(items), self._turn(cache.count, int(cache.count.max()) + 1)
        for block, memory in zip(self._stack(), cache.memories, strict=True):
            attended = block.attention.step(
                block.attention_input(x), turn, memory, cache.count, active
            )
            x = block.finish(x, attended)
        cache.count[active] += 1
        out: Tensor = self.norm(x)
        return out

    def _stack(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _turn(self, position: Tensor, longest: int) -> Tensor:
        """(N, width / 2) for positions below `longest`."""
        if longest <= len(self.turns):
            return self.turns.index_select(0, position)
        return self._rotation(position)

    def _rotation(self, position: Tensor) -> Tensor:
        angle = position[:, None] * self.speeds  # in double: users may have many events
        return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
