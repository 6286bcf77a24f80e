"""The training loop, apart from the models: epochs of packed windows, one step per batch."""

from __future__ import annotations

import ctypes
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.data.sequences import Sequences
from policies.encoders.nets.layers import CONTENT, Dropout, content_vectors, noises
from policies.encoders.nets.packed import Packed, pack
from policies.encoders.training import losses
from policies.encoders.training.averaging import averaged, follow
from policies.encoders.training.parallel import World
from policies.encoders.training.resume import Epoch, Progress, copied

Loss = Literal["sampled", "full", "bce", "gbce"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a network learns; encoders add their sizes to it."""

    length: int = 50  # W: events a prediction can look back at, and of a training window
    epochs: int = 20  # passes over all events
    batch_tokens: int = 4000  # targets per step
    lr: float = 1e-3  # peak: reached after `warmup`, then down to a tenth along a cosine
    warmup: float = 0.02  # share of all steps
    weight_decay: float = 0.0
    averaging: float = 0.0  # share that the running mean of the weights keeps at a step; 0: no mean
    temperature: float | None = None  # scores are cosines over it; None: plain products
    loss: Loss = "sampled"
    negatives: int = 256  # shared by the batch (sampled), or of each target (bce, gbce)
    calibration: float = 0.75  # t of gbce
    patience: int = 10  # epochs without a better validation score before stopping
    bf16: bool = False  # matrix products in bfloat16: pays where the CPU has units for it
    seed: int = 0
    threads: int = 1  # torch threads while learning and while scoring
    device: str = "auto"  # where to learn; auto: the GPU if torch finds one (never tried on one)

    def __post_init__(self) -> None:
        sizes = (self.length, self.epochs, self.batch_tokens, self.negatives, self.threads)
        if min(sizes) < 1 or self.lr <= 0 or not 0 < self.warmup < 1:
            raise ValueError(f"sizes and lr must be positive, 0 < warmup < 1: {self}")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"need 0 <= averaging < 1: {self}")
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError(f"temperature must be positive or None: {self}")
        if self.loss not in get_args(Loss):
            raise ValueError(f"no loss {self.loss!r}; there are {', '.join(get_args(Loss))}")


@dataclass(frozen=True, slots=True)
class Examples:
    """One batch: sequences in, and what to predict at which of their rows."""

    packed: Packed
    target: Tensor  # (M,) item ids
    at: Tensor | None = None  # (M,) rows whose state predicts; None: all N

    def to(self, device: torch.device) -> Examples:
        """The same batch on another device."""
        at = None if self.at is None else self.at.to(device)
        return Examples(self.packed.to(device), self.target.to(device), at)


class Network(nn.Module, ABC):
    """What encoders train: packed sequences in, one hidden state per event out."""

    def __init__(self, table: Tensor, temperature: float | None, drop: Dropout) -> None:
        super().__init__()
        self.table = nn.Parameter(table)  # (A, D), what goes in
        self.temperature = temperature
        self.drop = drop

    def vectors(self) -> Tensor:
        """(A, D) item vectors that states are multiplied with; unit vectors for cosines."""
        unit = self.temperature is not None
        return nn.functional.normalize(self.table, dim=-1) if unit else self.table

    def embed(self, items: Tensor, table: Tensor | None = None) -> Tensor:
        """(N,) ids -> (N, D) rows of the table, scaled by sqrt(D) as in Vaswani et al. (2017)."""
        table = self.table if table is None else table
        rows = nn.functional.embedding(items, table) * table.shape[1] ** 0.5
        out: Tensor = self.drop(rows)
        return out

    @torch.no_grad()
    def begin_at(self, features: Tensor) -> None:
        """Begin item vectors near what is known of the items, features (A, F)."""
        known = content_vectors(features.to(self.table), self.table.shape[1])
        self.table[:, : known.shape[1]] += CONTENT * known

    @abstractmethod
    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""

    @abstractmethod
    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""

    def examples(
        self, pieces: Sequences, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> Examples:
        """The next event of every event, for the windows `rows`."""
        packed = pack(pieces.items, pieces.offsets[rows], pieces.offsets[rows + 1] - 1)
        return Examples(packed, torch.from_numpy(pieces.items[packed.rows + 1].astype(np.int64)))


@runtime_checkable
class Incremental(Protocol):
    """A network for which one more event costs less than the whole history again."""

    def start(self, batch: int) -> Any:
        """The memory of `batch` users without events; see `state.NetworkState`."""

    def step(self, cache: Any, items: Tensor, live: Tensor) -> Tensor:
        """Add one event, items (B,), to the users in `live` (rows); (B, D), void elsewhere."""


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
