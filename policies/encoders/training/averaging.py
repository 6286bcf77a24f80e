"""A running mean of the weights along training: what is validated and returned instead
of the weights after the last step.

Polyak & Juditsky (1992). The means live in the optimizer's state, so a checkpoint of it holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

MEAN = "mean"  # key in the optimizer's state of a parameter


@torch.no_grad()
def update_average(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """After a step: mean = d mean + (1 - d) weights, with d = min(decay, (1 + n) / (10 + n)).

    n counts the steps, so that the mean forgets where training began. decay = 0: there is no mean.
    """
    if not decay:
        return
    for weights, state in _trained(optimizer):
        if MEAN not in state:
            state[MEAN] = weights.detach().clone()
        count = int(state["step"])
        state[MEAN].lerp_(weights.detach(), 1 - min(decay, (1 + count) / (10 + count)))


@contextmanager
def averaged(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Inside, the network's weights are the means, where there are any."""
    _swap(optimizer)
    try:
        yield
    finally:
        _swap(optimizer)


def _swap(optimizer: torch.optim.Optimizer) -> None:
    for weights, state in _trained(optimizer):
        if MEAN in state:
            weights.data, state[MEAN] = state[MEAN], weights.data


def _trained(optimizer: torch.optim.Optimizer) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Parameters that have had a gradient, with the optimizer's state of each."""
    for group in optimizer.param_groups:
        for weights in group["params"]:
            if weights in optimizer.state:
                yield weights, optimizer.state[weights]
