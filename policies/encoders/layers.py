"""Layers that several encoders share: seeded dropout and rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Noise:
    """One seeded stream for all dropout of a network; its state can be saved and restored."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def keep(self, like: Tensor, share: float) -> Tensor:
        """Mask of the shape of `like`, True with probability `share` (to 1/256)."""
        words = -(-like.numel() // 8)
        drawn = torch.empty(words, dtype=torch.int64)
        drawn.random_(-(1 << 63), None, generator=self.generator)  # eight uniform bytes a draw
        return drawn.view(torch.uint8)[: like.numel()].view(like.shape) < round(share * 256)


class Dropout(nn.Module):
    """Zero entries with probability `rate` in training, scaled to keep the mean."""

    def __init__(self, rate: float, noise: Noise) -> None:
        super().__init__()
        self.rate, self.noise = rate, noise

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        share = round((1 - self.rate) * 256) / 256
        return x * self.noise.keep(x, share).to(x.dtype).mul_(1 / share)


def rotary_table(length: int, width: int, *, base: float = 10_000.0) -> Tensor:
    """(length, width / 2) unit complex numbers: angle = position * base^(-2i / width).

    Su et al., RoFormer (2021): the product of two rotated vectors depends on their distance only.
    """
    speed = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * speed
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate pairs of entries: x (N, ..., width) float, turn (N, width / 2) complex."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    turn = turn.view(len(turn), *[1] * (x.dim() - 2), -1)
    return torch.view_as_real(pairs * turn).flatten(-2)
