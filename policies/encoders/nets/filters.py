"""Causal filters over packed sequences, one for each channel, and a network of them.

y_t = sum over lags l < W of taps_l * x_(t - l), for each of D channels: long convolutions as in
FMLP-Rec (Zhou et al. 2022, there in the frequency domain and not causal). In NumPy, position[i]
counting the events before row i in its own sequence::

    def filtered(x, taps, position):
        out = np.zeros_like(x)
        for row, before in enumerate(position):
            for lag in range(min(before + 1, len(taps))):
                out[row] += taps[lag] * x[row - lag]
        return out

The loops are compiled as they stand: no padding, no (W, W) Toeplitz matrices, W multiplications a
number. A filter sees nothing of the events but their order, and what it has to remember of a user
is the last W inputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.nets.layers import Dropout, Noise, last_norm
from policies.encoders.nets.network import Network
from policies.encoders.nets.packed import Packed
from policies.slates.compiling import SUMS, njit_cached

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


def filtered(x: Tensor, taps: Tensor, packed: Packed) -> Tensor:
    """x (N, D), taps (W, D), taps[0] that of the event itself -> (N, D)."""
    if x.device.type == "cpu":
        out: Tensor = _Filter.apply(x.float(), taps, packed.position)  # type: ignore[no-untyped-call]
        return out
    return shifted_sum(x, taps, packed.position, packed.longest)


def shifted_sum(x: Tensor, taps: Tensor, position: Tensor, longest: int) -> Tensor:
    """The same lag by lag, in operations that every device has."""
    total = taps[0] * x
    for lag in range(1, min(len(taps), longest)):
        inside = (position >= lag)[:, None]
        total = total + taps[lag] * x.roll(lag, 0) * inside
    return total


def initial_taps(window: int, dim: int) -> Tensor:
    """(W, D) decaying means, whose half-lives go from a quarter of an event to a quarter of W."""
    halves = 0.25 * torch.linspace(0, 1, dim).mul(np.log(max(window, 2))).exp()  # (D,)
    decay = torch.exp2(-1 / halves)
    return (1 - decay) * decay ** torch.arange(window)[:, None]


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, position: Tensor) -> Tensor:
        x, taps = x.contiguous(), taps.contiguous()
        out = torch.zeros_like(x)
        filter_rows(x.detach().numpy(), taps.detach().numpy(), position.numpy(), out.numpy())
        ctx.save_for_backward(x, taps, position)
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, None]:
        x, taps, position = ctx.saved_tensors
        d_x, d_taps = torch.zeros_like(x), torch.zeros_like(taps)
        slopes = d_out.contiguous().numpy()
        rows = (x.numpy(), taps.detach().numpy(), position.numpy())
        filter_slopes(*rows, slopes, d_x.numpy(), d_taps.numpy())
        return d_x, d_taps, None


@njit_cached(fastmath=SUMS)
def filter_rows(x: F32, taps: F32, position: I64, out: F32) -> None:
    """Add the filtered rows to `out` (N, D)."""
    window, dim = taps.shape
    for row in range(len(x)):
        for lag in range(min(position[row] + 1, window)):
            for d in range(dim):
                out[row, d] += taps[lag, d] * x[row - lag, d]


@njit_cached(fastmath=SUMS)
def filter_slopes(x: F32, taps: F32, position: I64, d_out: F32, d_x: F32, d_taps: F32) -> None:
    """Add the derivatives by x (N, D) and by the taps (W, D)."""
    window, dim = taps.shape
    for row in range(len(x)):
        for lag in range(min(position[row] + 1, window)):
            for d in range(dim):
                d_x[row - lag, d] += taps[lag, d] * d_out[row, d]
            for d in range(dim):
                d_taps[lag, d] += x[row - lag, d] * d_out[row, d]


@njit_cached(fastmath=SUMS)
def filter_step(ring: F32, taps: F32, count: I64, x: F32, active: I64, out: F32) -> None:
    """One more event of the users in `active`: its input enters the ring, `out` is filled.

    ring (B, W, D), slot = event number mod W; count (B,) events before it; x, out (B, D).
    """
    window, dim = taps.shape
    for b in active:
        ring[b, count[b] % window] = x[b]
        out[b] = 0
        for lag in range(min(count[b] + 1, window)):
            slot = (count[b] - lag) % window
            for d in range(dim):
                out[b, d] += taps[lag, d] * ring[b, slot, d]


@dataclass(slots=True)
class Rings:
    """The serving state: each block's last W inputs; advanced in place."""

    count: Tensor  # (B,) events so far
    inputs: list[Tensor]  # (B, W, D) of each block, slot = event number mod W

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return sum(x.nbytes for x in (self.count, *self.inputs))

    def reset(self, rows: Tensor) -> None:
        """Users that start anew; a count of 0 hides their old inputs."""
        self.count[rows] = 0


class FilterBlock(nn.Module):
    """x + linear(filter(norm(x))), then x + feed-forward(norm(x)), as in a SASRec block."""

    def __init__(self, dim: int, window: int, dropout: float, noise: Noise) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.taps = nn.Parameter(initial_taps(window, dim))
        self.answer = nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.drop = Dropout(dropout, noise)

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """The stream after the block, from the stream and the filter's output: (N, D)."""
        x = self.drop.join(x, self.answer(mixed))
        hidden = nn.functional.relu(self.widen(self.between(x)))
        return self.drop.join(x, self.narrow(hidden))


class FilterNet(Network):
    """Item vectors, blocks of filters, a last norm; the item vectors are also the output layer."""

    def __init__(
        self,
        table: Tensor,
        blocks: Iterable[FilterBlock],
        temperature: float | None,
        dropout: float,
        noise: Noise,
    ) -> None:
        super().__init__(table, temperature, Dropout(dropout, noise))
        self.blocks = nn.ModuleList(blocks)
        self.norm = last_norm(table.shape[1], temperature)

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""
        x = self.embed(packed.items)
        for block in self._stack():
            x = block.finish(x, filtered(block.before(x), block.taps, packed))
        out: Tensor = self.norm(x)
        return out

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""
        return self(packed)[packed.last]  # type: ignore[no-any-return]

    def start(self, batch: int) -> Rings:
        """The serving state of `batch` users without events."""
        rings = [block.taps.new_zeros(batch, *block.taps.shape) for block in self._stack()]
        return Rings(torch.zeros(batch, dtype=torch.int64), rings)

    def step(self, cache: Rings, items: Tensor, active: Tensor) -> Tensor:
        """Add one event, items (B,), to the users in `active` (rows) -> (B, D), undefined
        elsewhere."""
        x = self.embed(items)
        rows, count = active.numpy(), cache.count.numpy()
        for block, ring in zip(self._stack(), cache.inputs, strict=True):
            mixed = torch.zeros_like(x)
            taps, inputs = block.taps.detach().numpy(), block.before(x).numpy()
            filter_step(ring.numpy(), taps, count, inputs, rows, mixed.numpy())
            x = block.finish(x, mixed)
        cache.count[active] += 1
        out: Tensor = self.norm(x)
        return out

    def _stack(self) -> list[FilterBlock]:
        return [block for block in self.blocks if isinstance(block, FilterBlock)]
