"""The training loop, apart from the models: epochs of packed windows, one step per batch."""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from policies.encoders.data.sequences import Sequences
from policies.encoders.nets.layers import noises
from policies.encoders.nets.network import Examples, Network
from policies.encoders.training import losses
from policies.encoders.training.averaging import averaged, update_average
from policies.encoders.training.config import TrainConfig
from policies.encoders.training.parallel import ProcessGroup
from policies.encoders.training.resume import Epoch, Progress, copy_weights


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run with `count` torch threads, then restore what was."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    network: Network,
    sequences: Sequences,
    config: TrainConfig,
    *,
    validate: Callable[[], float] | None = None,
    report: Callable[[Epoch], None] | None = None,
    folder: Path | None = None,
    world: ProcessGroup | None = None,
) -> list[Epoch]:
    """Fit in place; with `validate` the best epoch's weights are kept, and learning stops early.

    With `folder`, every epoch leaves curve.csv and the whole state of training there, and a run
    that was killed goes on as if it had not been. With `world`, processes share each batch.

    Raises:
        ValueError: no sequence has two events, the loss needs more items, or it is not finite.
    """
    _check_task(sequences, config)
    world, device = world or ProcessGroup(), chosen_device(config.device)
    network.to(device)
    for noise in noises(network):
        noise.to(device)
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, 1]))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
    )
    keep_freed_memory()
    progress = Progress.begin(network, optimizer, rng, config, sequences, folder)
    with torch_threads(config.threads):
        while not progress.finished(config):
            line = _epoch(len(progress.curve), network, optimizer, sequences, config, rng, world)
            with averaged(optimizer):
                if validate is not None:
                    line = replace(line, score=validate())
                progress.keep_best(line)
            progress.add(line, write=world.rank == 0)
            if report is not None:
                report(line)
    with averaged(optimizer):
        best = progress.best or copy_weights(network)
    network.load_state_dict(best)
    network.to("cpu").eval()
    return progress.curve


def _check_task(sequences: Sequences, config: TrainConfig) -> None:
    """There is something to learn, and the loss is defined."""
    if not (sequences.lengths >= 2).any():
        raise ValueError(
            f"nothing to learn: none of {len(sequences):,} sequences has two events, so no event "
            "has one before it to be predicted from"
        )
    if config.loss == "gbce" and sequences.n_items < 2:
        raise ValueError("the loss gbce needs two items or more; full takes a catalogue of one")


def _epoch(
    number: int,
    network: Network,
    optimizer: torch.optim.Optimizer,
    sequences: Sequences,
    config: TrainConfig,
    rng: np.random.Generator,
    world: ProcessGroup,
) -> Epoch:
    cpu_start, wall_start, total, count = time.process_time(), time.perf_counter(), 0.0, 0
    targets = max(1, sequences.n_events - len(sequences))
    network.train()
    for batch in batches(network, sequences, config, rng, world):
        progress = (number + min(1.0, count / targets)) / config.epochs
        for group in optimizer.param_groups:
            group["lr"] = config.lr * learning_rate_schedule(progress, config.warmup)
        optimizer.zero_grad()
        loss, size = loss_of(network, batch, config), len(batch.examples.target)
        (loss * (size / batch.n_targets)).backward()  # type: ignore[no-untyped-call]
        world.sum_gradients(network)
        optimizer.step()
        update_average(optimizer, config.averaging)
        total, count = total + loss.item() * size, count + batch.n_targets
    network.eval()
    total = world.sum(total)
    if not math.isfinite(total):
        raise ValueError(
            f"the loss is {total} in epoch {number + 1}: the network diverged; lower lr "
            f"(it is {config.lr})"
        )
    cpu, wall = time.process_time() - cpu_start, time.perf_counter() - wall_start
    return Epoch(number, total / max(count, 1), count, cpu, wall, math.nan)


class Batch(NamedTuple):
    """This process's share of one batch."""

    examples: Examples
    n_targets: int  # of all processes together
    shared: np.random.Generator  # gives the same draws on all processes
    local: np.random.Generator  # gives draws of this process's own


def batches(
    network: Network,
    sequences: Sequences,
    config: TrainConfig,
    rng: np.random.Generator,
    world: ProcessGroup,
) -> Iterator[Batch]:
    """Randomly cut windows of whole histories, a batch at a time."""
    pieces = sequences.windows(config.length + 1, rng=rng)
    order = rng.permutation(len(pieces))
    number = (np.cumsum(pieces.lengths[order] - 1) - 1) // config.batch_tokens
    for rows in np.split(order, np.flatnonzero(np.diff(number)) + 1):
        seed = int(rng.integers(1 << 62))
        shared, local = np.random.default_rng(seed), np.random.default_rng([seed, world.rank])
        examples = network.examples(pieces, rows[world.rank :: world.size], local)
        examples = examples.to(network.table.device)
        n_targets = int(world.sum(len(examples.target)))
        if n_targets:
            yield Batch(examples, n_targets, shared, local)


def loss_of(network: Network, batch: Batch, config: TrainConfig) -> Tensor:
    """The configured loss of one batch, a mean over its targets."""
    packed, target, at = batch.examples.packed, batch.examples.target, batch.examples.at
    device = target.device
    with torch.autocast(device.type, torch.bfloat16) if config.bf16 else nullcontext():
        hidden = network(packed)
    hidden = hidden.float() if at is None else hidden.float()[at]
    table, size = network.vectors(), len(network.table)
    if config.loss == "full" or (config.loss == "sampled" and size <= config.negatives):
        return losses.full_softmax(hidden, table, target)
    if config.loss == "sampled":
        sample = batch.shared.choice(size, size=config.negatives, replace=False, shuffle=False)
        weight = hidden.new_full((config.negatives,), math.log(size / config.negatives))
        negatives = torch.from_numpy(sample).to(device)
        return losses.sampled_softmax(hidden, table, target, negatives, weight)
    sample = batch.local.integers(size, size=(len(target), config.negatives))
    negatives = torch.from_numpy(sample).to(device)
    if config.loss == "bce":
        return losses.binary(hidden, table, target, negatives)
    return losses.calibrated_binary(hidden, table, target, negatives, config.calibration)


def learning_rate_schedule(progress: float, warmup: float) -> float:
    """Share of the peak learning rate when `progress` of all training is done (both 0..1)."""
    if progress < warmup:
        return max(progress, 1e-3) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def chosen_device(name: str) -> torch.device:
    """The device of that name; auto is the GPU where torch finds one, else the CPU.

    Raises:
        ValueError: torch knows no such device, or cannot use it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"device = {name!r}: {said}; auto and cpu are always there") from None
    return device


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next batch: page faults took an eighth of training."""
    if sys.platform == "linux":
        adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if adjust is not None:
            adjust(-1, 1 << 30)  # M_TRIM_THRESHOLD
            adjust(-3, 32 << 20)  # M_MMAP_THRESHOLD
