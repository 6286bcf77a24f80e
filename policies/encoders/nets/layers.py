"""Layers that several encoders share: seeded dropout and rotary positions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# The table is the output layer too: what a rarely trained row started with stays in its score. At
# 1/8 (norm 1) that noise cost ml-100k .009 of .101 NDCG@10; BERT's .02 (Devlin et al. 2019) is not
# seen in the scores.
SPREAD = 0.02


CONTENT = 0.3  # root mean square length of item vectors that begin at what is known of the items


class Noise:
    """One seeded stream for all dropout of a network; its state can be saved and restored."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    def to(self, device: torch.device) -> None:
        """Draw on another device from now on: a stream of its own, begun anew."""
        if device != self.generator.device:
            self.generator = torch.Generator(device).manual_seed(self.seed)

    def keep(self, like: Tensor, share: float) -> Tensor:
        """Ones with probability `share` (to 1/256), else zeros, in the shape of `like`."""
        words = -(-like.numel() // 8)
        drawn = torch.empty(words, dtype=torch.int64, device=like.device)
        drawn.random_(-(1 << 63), None, generator=self.generator)  # eight uniform bytes a draw
        bytes_ = drawn.view(torch.uint8)[: like.numel()].view(like.shape)
        return torch.lt(bytes_, round(share * 256), out=torch.empty_like(like))


class Dropout(nn.Module):
    """Zero entries with probability `rate` in training, scaled to keep the mean."""

    def __init__(self, rate: float, noise: Noise) -> None:
        super().__init__()
        self.noise = noise
        self.share = round((1 - rate) * 256) / 256

    def forward(self, x: Tensor) -> Tensor:
        """x, or what is kept of it."""
        if not self.training or self.share == 1:
            return x
        return x * self.noise.keep(x, self.share).mul_(1 / self.share)

    def join(self, stream: Tensor, x: Tensor) -> Tensor:
        """stream + what is kept of x, in one pass."""
        if not self.training or self.share == 1:
            return stream + x
        return torch.addcmul(stream, x, self.noise.keep(x, self.share), value=1 / self.share)


class Unit(nn.Module):
    """Vectors of length 1 / temperature: products with unit vectors are cosines over it."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        return nn.functional.normalize(x, dim=-1) / self.temperature


def last_norm(dim: int, temperature: float | None) -> nn.Module:
    """What a network ends with: a layer norm, or unit vectors where scores are cosines."""
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
    """(A, D) small random item vectors, entries of deviation `SPREAD`."""
    vectors: Tensor = torch.randn(n_items, dim) * SPREAD
    return vectors


def content_vectors(features: Tensor, dim: int) -> Tensor:
    """(A, F) -> (A, at most D) the items' first principal components, of mean square length 1.

    Items that are alike then begin alike, and what the network learns of one holds for the other.
    """
    spread = features - features.mean(0)
    left, size, _ = torch.linalg.svd(spread, full_matrices=False)
    parts = (left * size)[:, :dim]
    length: Tensor = parts.square().sum(1).mean().sqrt()
    vectors: Tensor = parts / length if length > 0 else parts
    return vectors


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights from `seed`; the process's own stream goes on as if nothing was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def noises(network: nn.Module) -> list[Noise]:
    """The distinct noise streams of a network, in the order of its modules."""
    found = [m.noise for m in network.modules() if isinstance(m, Dropout)]
    return list(dict.fromkeys(found))
