"""The training loop, apart from the models: epochs of packed windows, one step per batch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policies.encoders import losses
from policies.encoders.packed import Packed, pack
from policies.encoders.sequences import Sequences


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a network learns; encoders add their sizes to it."""

    length: int = 50  # L: events a prediction can look back at
    epochs: int = 20  # passes over all events
    batch_tokens: int = 6400  # targets per step
    lr: float = 1e-3
    weight_decay: float = 0.0
    loss: Literal["sampled", "full"] = "sampled"
    negatives: int = 256  # shared by the batch; the full softmax is used where A is no larger
    patience: int = 5  # epochs without a better validation score before stopping
    seed: int = 0
    threads: int = 1  # torch threads while learning and while scoring


class Network(nn.Module):
    """What encoders train: packed sequences in, one hidden state per event out."""

    table: nn.Parameter  # (A, D) item vectors, in the space of the states

    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""
        raise NotImplementedError

    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""
        return self(packed)[packed.last]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the learning curve."""

    epoch: int
    loss: float  # mean over targets
    targets: int
    cpu_seconds: float  # of training alone
    score: float  # of validation, nan without


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run with `count` torch threads, then restore what was."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def batches(
    sequences: Sequences, config: TrainConfig, rng: np.random.Generator
) -> Iterator[tuple[Packed, Tensor]]:
    """(inputs, targets (N,)) over randomly cut and shuffled windows of the whole histories."""
    pieces = sequences.windows(config.length + 1, rng=rng)
    order = rng.permutation(len(pieces))
    targets = np.cumsum(pieces.lengths[order] - 1)
    number = (targets - 1) // config.batch_tokens
    for rows in np.split(order, np.flatnonzero(np.diff(number)) + 1):
        packed = pack(pieces.items, pieces.offsets[rows], pieces.offsets[rows + 1] - 1)
        yield packed, torch.from_numpy(pieces.items[packed.rows + 1].astype(np.int64))


def loss_of(
    network: Network, packed: Packed, target: Tensor, config: TrainConfig, rng: np.random.Generator
) -> Tensor:
    """The configured loss of one batch."""
    hidden, size = network(packed), len(network.table)
    if config.loss == "full" or size <= config.negatives:
        return losses.full_softmax(hidden, network.table, target)
    drawn = torch.from_numpy(rng.integers(size, size=config.negatives))
    log_q = torch.full((config.negatives,), -float(np.log(size)))
    return losses.sampled_softmax(hidden, network.table, target, drawn, log_q)


def train(
    network: Network,
    sequences: Sequences,
    config: TrainConfig,
    *,
    validate: Callable[[], float] | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Fit in place; with `validate` the best epoch's weights are kept, and learning stops early."""
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, 1]))
    step = torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
    )
    curve: list[Epoch] = []
    best, kept = -np.inf, None
    with torch_threads(config.threads):
        for number in range(config.epochs):
            epoch = _epoch(number, network, step, sequences, config, rng, validate)
            curve.append(epoch)
            if report is not None:
                report(epoch)
            if validate is None:
                continue
            if epoch.score > best:
                best, kept = epoch.score, copy.deepcopy(network.state_dict())
            elif number - int(np.nanargmax([e.score for e in curve])) >= config.patience:
                break
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()
    return curve


def _epoch(
    number: int,
    network: Network,
    step: torch.optim.Optimizer,
    sequences: Sequences,
    config: TrainConfig,
    rng: np.random.Generator,
    validate: Callable[[], float] | None,
) -> Epoch:
    begun, total, count = time.process_time(), 0.0, 0
    network.train()
    for packed, target in batches(sequences, config, rng):
        loss = loss_of(network, packed, target, config, rng)
        step.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        step.step()
        total, count = total + loss.item() * len(target), count + len(target)
    spent = time.process_time() - begun
    network.eval()
    score = float("nan") if validate is None else validate()
    return Epoch(number, total / max(count, 1), count, spent, score)
