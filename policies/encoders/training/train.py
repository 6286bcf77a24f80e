"""The training loop, apart from the models: epochs of packed windows, one step per batch."""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.data.sequences import Sequences
from policies.encoders.nets.layers import noises
from policies.encoders.nets.network import Examples, Network
from policies.encoders.training import losses
from policies.encoders.training.averaging import averaged, follow
from policies.encoders.training.config import TrainConfig
from policies.encoders.training.parallel import World
from policies.encoders.training.resume import Epoch, Progress, copied


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
    world: World | None = None,
) -> list[Epoch]:
    """Fit in place; with `validate` the best epoch's weights are kept, and learning stops early.

    With `folder`, every epoch leaves curve.csv and the whole state of training there, and a run
    that was killed goes on as if it had not been. With `world`, processes share each batch.
    """
    world, device = world or World(), chosen_device(config.device)
    network.to(device)
    for noise in noises(network):
        noise.to(device)
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, 1]))
    step = torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
    )
    hold_memory()
    progress = Progress.begin(network, step, rng, config, sequences, folder)
    with torch_threads(config.threads):
        while not progress.finished(config):
            line = _epoch(len(progress.curve), network, step, sequences, config, rng, world)
            with averaged(step):
                if validate is not None:
                    line = line.scored(validate())
                progress.keep(line)
            progress.add(line, write=world.rank == 0)
            if report is not None:
                report(line)
    with averaged(step):
        best = progress.best or copied(network)
    network.load_state_dict(best)
    network.to("cpu").eval()
    return progress.curve


def _epoch(
    number: int,
    network: Network,
    step: torch.optim.Optimizer,
    sequences: Sequences,
    config: TrainConfig,
    rng: np.random.Generator,
    world: World,
) -> Epoch:
    begun, clock, total, count = time.process_time(), time.perf_counter(), 0.0, 0
    aim = max(1, sequences.n_events - len(sequences))
    network.train()
    for batch, everyone, shared, own in batches(network, sequences, config, rng, world):
        done = (number + min(1.0, count / aim)) / config.epochs
        for group in step.param_groups:
            group["lr"] = config.lr * pace(done, config.warmup)
        step.zero_grad()
        loss = loss_of(network, batch, config, shared, own)
        (loss * (len(batch.target) / everyone)).backward()  # type: ignore[no-untyped-call]
        world.sum_gradients(network)
        step.step()
        follow(step, config.averaging)
        total, count = total + loss.item() * len(batch.target), count + everyone
    network.eval()
    total = world.sum(total)
    cpu, wall = time.process_time() - begun, time.perf_counter() - clock
    return Epoch(number, total / max(count, 1), count, cpu, wall, math.nan)


def batches(
    network: Network,
    sequences: Sequences,
    config: TrainConfig,
    rng: np.random.Generator,
    world: World,
) -> Iterator[tuple[Examples, int, np.random.Generator, np.random.Generator]]:
    """Randomly cut windows of whole histories, a batch at a time.

    Yields this process's share, the targets of all processes together, and two streams of draws:
    one that all processes see alike, one of this process's own.
    """
    pieces = sequences.windows(config.length + 1, rng=rng)
    order = rng.permutation(len(pieces))
    number = (np.cumsum(pieces.lengths[order] - 1) - 1) // config.batch_tokens
    for rows in np.split(order, np.flatnonzero(np.diff(number)) + 1):
        seed = int(rng.integers(1 << 62))
        shared, own = np.random.default_rng(seed), np.random.default_rng([seed, world.rank])
        mine = network.examples(pieces, rows[world.rank :: world.size], own)
        mine = mine.to(network.table.device)
        everyone = int(world.sum(len(mine.target)))
        if everyone:
            yield mine, everyone, shared, own


def loss_of(
    network: Network,
    batch: Examples,
    config: TrainConfig,
    shared: np.random.Generator,
    own: np.random.Generator,
) -> Tensor:
    """The configured loss of one batch, a mean over its targets; see `batches` for the streams."""
    device = batch.target.device
    with torch.autocast(device.type, torch.bfloat16) if config.bf16 else nullcontext():
        hidden = network(batch.packed)
    hidden = hidden.float() if batch.at is None else hidden.float()[batch.at]
    table, target, size = network.vectors(), batch.target, len(network.table)
    if config.loss == "full" or (config.loss == "sampled" and size <= config.negatives):
        return losses.full_softmax(hidden, table, target)
    if config.loss == "sampled":
        drawn = shared.choice(size, size=config.negatives, replace=False, shuffle=False)
        weight = hidden.new_full((config.negatives,), math.log(size / config.negatives))
        rivals = torch.from_numpy(drawn).to(device)
        return losses.sampled_softmax(hidden, table, target, rivals, weight)
    each = own.integers(size, size=(len(target), config.negatives))
    rivals = torch.from_numpy(each).to(device)
    if config.loss == "bce":
        return losses.binary(hidden, table, target, rivals)
    return losses.calibrated_binary(hidden, table, target, rivals, config.calibration)


def pace(done: float, warmup: float) -> float:
    """Share of the peak step size when `done` of all training is done (both 0..1)."""
    if done < warmup:
        return max(done, 1e-3) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def chosen_device(name: str) -> torch.device:
    """The device of that name; auto is the GPU where torch finds one, else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def hold_memory() -> None:
    """Let glibc keep freed memory for the next batch: page faults took an eighth of training."""
    if sys.platform == "linux":
        adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if adjust is not None:
            adjust(-1, 1 << 30)  # M_TRIM_THRESHOLD
            adjust(-3, 32 << 20)  # M_MMAP_THRESHOLD


def to_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights by name."""
    return {k: v.detach().cpu().numpy() for k, v in network.state_dict().items()}
