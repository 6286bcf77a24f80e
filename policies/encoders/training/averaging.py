"""A running mean of the weights along training: what is judged and kept instead of the last step.

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
def follow(step: torch.optim.Optimizer, keep: float) -> None:
    """After a step: mean = k mean + (1 - k) weights, with k = min(keep, (1 + n) / (10 + n)).

    n counts the steps, so that the mean forgets where training began. keep = 0 keeps no mean.
    """
    if not keep:
        return
    for weights, state in _moved(step):
        if MEAN not in state:
            state[MEAN] = weights.detach().clone()
        count = int(state["step"])
        state[MEAN].lerp_(weights.detach(), 1 - min(keep, (1 + count) / (10 + count)))


@contextmanager
def averaged(step: torch.optim.Optimizer) -> Iterator[None]:
    """The network has the means for weights inside, where there are any."""
    _swap(step)
    try:
        yield
    finally:
        _swap(step)


def _swap(step: torch.optim.Optimizer) -> None:
    for weights, state in _moved(step):
        if MEAN in state:
            weights.data, state[MEAN] = state[MEAN], weights.data


def _moved(step: torch.optim.Optimizer) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Parameters that some step has moved, with the optimizer's state of each."""
    for group in step.param_groups:
        for weights in group["params"]:
            if weights in step.state:
                yield weights, step.state[weights]
