"""Layers that several encoders share: seeded dropout and rotary positions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# The table is also the output layer, so the initial noise of rarely trained rows stays in their
# scores. At 1/8 (norm 1) it cost .009 of .101 NDCG@10 on ml-100k; BERT's .02 (Devlin et al. 2019)
# costs nothing that can be measured.
INIT_STD = 0.02
CONTENT_RMS = 0.3  # root mean square length of what item features add to the initial item vectors


class Noise:
    """One seeded stream for all dropout of a network; its state can be saved and restored."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    def to(self, device: torch.device) -> None:
        """Draw on another device from now on: a new stream from the same seed."""
        if device != self.generator.device:
            self.generator = torch.Generator(device).manual_seed(self.seed)

    def mask(self, like: Tensor, share: float) -> Tensor:
        """Ones with probability `share` (to 1/256), else zeros, in the shape of `like`."""
        size = -(-like.numel() // 8)
        words = torch.empty(size, dtype=torch.int64, device=like.device)
        words.random_(-(1 << 63), None, generator=self.generator)  # eight uniform bytes a draw
        bytes_ = words.view(torch.uint8)[: like.numel()].view(like.shape)
        return torch.lt(bytes_, round(share * 256), out=torch.empty_like(like))


class Dropout(nn.Module):
    """Zero entries with probability `rate` in training, scaled to keep the mean."""

    def __init__(self, rate: float, noise: Noise) -> None:
        super().__init__()
        self.noise = noise
        self.share = round((1 - rate) * 256) / 256

    def forward(self, x: Tensor) -> Tensor:
        """x itself in evaluation, else its masked and rescaled entries."""
        if not self.training or self.share == 1:
            return x
        return x * self.noise.mask(x, self.share).mul_(1 / self.share)

    def join(self, stream: Tensor, x: Tensor) -> Tensor:
        """stream + dropout(x), in one pass."""
        if not self.training or self.share == 1:
            return stream + x
        return torch.addcmul(stream, x, self.noise.mask(x, self.share), value=1 / self.share)


class Unit(nn.Module):
    """Vectors of length 1 / temperature: products with unit vectors are cosines over it."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        return nn.functional.normalize(x, dim=-1) / self.temperature


def last_norm(dim: int, temperature: float | None) -> nn.Module:
    """A network's output layer: a layer norm, or unit vectors where scores are cosines."""
    return nn.LayerNorm(dim) if temperature is None else Unit(temperature)


def rotary_speeds(width: int, *, base: float = 10_000.0) -> Tensor:
    """(width / 2,) frequencies; the angle of pair i at a position is position * base^(-2i / width).

    Su et al., RoFormer (2021): the product of two rotated vectors depends on their distance only.
    """
    power = -torch.arange(0, width, 2, dtype=torch.float64) / width
    speeds: Tensor = torch.exp(power * math.log(base))
    return speeds


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate pairs of entries: x (N, ..., width) float, turn (N, width / 2) complex."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    turn = turn.view(len(turn), *[1] * (x.dim() - 2), -1)
    turned: Tensor = torch.view_as_real(pairs * turn).flatten(-2)
    return turned


def item_table(n_items: int, dim: int) -> Tensor:
    """(A, D) small random item vectors, entries of standard deviation `INIT_STD`."""
    vectors: Tensor = torch.randn(n_items, dim) * INIT_STD
    return vectors


def content_vectors(features: Tensor, dim: int) -> Tensor:
    """(A, F) -> (A, at most D) the items' first principal components, of mean square length 1.

    Items with similar features begin with similar vectors, and share what the network learns.
    """
    spread = features - features.mean(0)
    left, size, _ = torch.linalg.svd(spread, full_matrices=False)
    parts = (left * size)[:, :dim]
    length: Tensor = parts.square().sum(1).mean().sqrt()
    vectors: Tensor = parts / length if length > 0 else parts
    return vectors


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights from `seed`; the process's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def noises(network: nn.Module) -> list[Noise]:
    """The distinct noise streams of a network, in the order of its modules."""
    streams = [m.noise for m in network.modules() if isinstance(m, Dropout)]
    return list(dict.fromkeys(streams))
