"""Data-parallel training under torchrun: processes share each batch and add up gradients."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process, of rank `rank`, among `size` that train one network; alone by default."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> ProcessGroup:
        """The processes that torchrun started, over gloo; alone where there are none.

        The group is left when the interpreter ends: its threads abort a process that exits
        with them running.
        """
        if "RANK" not in os.environ:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("gloo")
            atexit.register(_leave)
        return cls(dist.get_rank(), dist.get_world_size())

    def sum(self, value: float) -> float:
        """The sum over all processes, the same on each."""
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(total)
        return float(total)

    def sum_gradients(self, network: nn.Module) -> None:
        """Each gradient becomes the sum over all processes."""
        if self.size == 1:
            return
        grads = [
            p.grad if p.grad is not None else torch.zeros_like(p) for p in network.parameters()
        ]
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        parts = torch.split(flat, [g.numel() for g in grads])
        for p, part in zip(network.parameters(), parts, strict=True):
            p.grad = part.view_as(p).clone()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
