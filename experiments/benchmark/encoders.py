"""`longplay benchmark encoders`: training and serving speed on this machine, one thread."""

from __future__ import annotations

import dataclasses
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark import plain_loop
from experiments.common.run_folder import RunFolder, made_with
from policies.encoders import ENCODERS, encoder
from policies.encoders.data.sequences import Sequences

NETWORKS = ("gru4rec", "sasrec", "esasrec", "bert4rec", "filter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Speed of learning (targets per CPU-second) and of serving (user-steps per CPU-second)."""

    models: tuple[str, ...] = NETWORKS
    """Which networks."""
    data: str | None = None
    """Train on this data set; synthetic histories of ml-1m's size and lengths otherwise."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    length: int = 200
    """Events of a training window, and the attention window."""
    serve_length: int = 50
    """The attention window while serving."""
    dim: int = 64
    """State width."""
    batch: int = 4_096
    """Users of one serving step."""
    top: int = 10
    """Items listed at each step."""
    events: int = 200_000
    """Training events of one measurement."""
    repeats: int = 3
    """Measurements; the median and the best are printed."""
    out: Path | None = None
    """Folder for benchmark.json; printed only by default."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One row."""

    model: str
    train_median: float  # targets per CPU-second
    train_best: float
    serve_median: float  # user-steps per CPU-second, top-K included
    serve_best: float
    state_bytes: int  # of all users of a batch


def run(settings: Settings) -> int:
    """Measure, print, write."""
    for model in settings.models:
        encoder(model)  # it is known
    data = _data(settings)
    print(f"{platform.machine()}, {_cpu()}; one torch thread; CPU time of this process")
    print(
        f"training: {data.n_events:,} events, {data.n_items:,} items, L {settings.length}, "
        f"d {settings.dim}; serving: batch {settings.batch:,}, top {settings.top}, window "
        f"{settings.serve_length}, state full"
    )
    plain = plain_speed(data, settings)
    rows = [measure(model, data, settings) for model in settings.models]
    print(f"a plain PyTorch loop (SASRec, padded, full softmax): {plain:,.0f} targets per CPU-s")
    print(
        f"{'model':<10}{'targets/CPU-s':>15}{'best':>10}{'of plain':>10}{'steps/CPU-s':>14}"
        f"{'best':>10}{'state':>10}"
    )
    for r in rows:
        print(
            f"{r.model:<10}{r.train_median:>15,.0f}{r.train_best:>10,.0f}"
            f"{r.train_median / plain:>9.1f}x{r.serve_median:>14,.0f}{r.serve_best:>10,.0f}"
            f"{r.state_bytes / 2**20:>8.1f} M"
        )
    if settings.out is not None:
        made = {"settings": dataclasses.asdict(settings), "made": made_with(), "cpu": _cpu()}
        speeds = [dataclasses.asdict(r) for r in rows]
        measured = {"plain_targets_per_cpu_second": plain, "rows": speeds}
        RunFolder(settings.out).write_json("benchmark.json", made | measured)
    return 0


def plain_speed(data: Sequences, settings: Settings) -> float:
    """Median targets per CPU-second of the plain loop, on a quarter of the users: it is slow."""
    some = data.take(np.arange(max(1, len(data) // 4)))
    rates = plain_loop.speeds(
        some, dim=settings.dim, length=settings.length, epochs=settings.repeats
    )
    return float(np.median(rates))


def measure(model: str, data: Sequences, settings: Settings) -> Speed:
    """Both speeds of one network."""
    train = train_speeds(model, data, settings)
    serve, size = serve_speeds(model, data, settings)
    return Speed(
        model, float(np.median(train)), max(train), float(np.median(serve)), max(serve), size
    )


def train_speeds(model: str, data: Sequences, settings: Settings) -> list[float]:
    """Targets per CPU-second of each epoch after a first one that warms up."""
    lines: list[Any] = []
    built: Any = ENCODERS[model](
        dim=settings.dim, length=settings.length, epochs=settings.repeats + 1
    )
    built.fit(data, report=lines.append)
    return [rate(line.targets, line.cpu_seconds) for line in lines[1:]]


def rate(count: float, seconds: float) -> float:
    """Of so many CPU-seconds; ValueError where the clock saw none."""
    if seconds <= 0:
        raise ValueError("it is too quick to be timed: give more --events and a larger --batch")
    return count / seconds


def serve_speeds(model: str, data: Sequences, settings: Settings) -> tuple[list[float], int]:
    """(user-steps per CPU-second, bytes of state) once every user's window is full."""
    every = Sequences.from_lists([np.arange(data.n_items)], n_items=data.n_items)
    made: Any = ENCODERS[model](dim=settings.dim, length=settings.serve_length, epochs=1).fit(every)
    rng, batch = np.random.default_rng(0), settings.batch
    state = made.initial_state(batch)
    for _ in range(settings.serve_length):
        state = made.step(state, rng.integers(data.n_items, size=batch))
    speeds = []
    for _ in range(settings.repeats * 3):
        items = rng.integers(data.n_items, size=batch)
        begun = time.process_time()
        state = made.step(state, items)
        made.state_top(state, settings.top)
        speeds.append(rate(batch, time.process_time() - begun))
    return speeds, int(state.nbytes)


def _data(settings: Settings) -> Sequences:
    """Users of the named set, or synthetic ones, until there are enough events."""
    if settings.data is not None:
        from experiments.data.datasets import load

        whole = load(settings.data, settings.data_root).split().train
        order = np.random.default_rng(0).permutation(len(whole))
        users = order[: 1 + int(np.searchsorted(np.cumsum(whole.lengths[order]), settings.events))]
        return whole.take(users)
    rng = np.random.default_rng(0)  # ml-1m: 3,416 items, lengths about log-normal, median 96
    lengths = np.clip(rng.lognormal(np.log(96), 1.0, settings.events // 100), 18, 2_300).astype(int)
    lengths = lengths[: 1 + int(np.searchsorted(np.cumsum(lengths), settings.events))]
    weight = 1 / (np.arange(3_416) + 30)
    lists = [rng.choice(3_416, size=n, p=weight / weight.sum()) for n in lengths]
    return Sequences.from_lists(lists, n_items=3_416)


def _cpu() -> str:
    """The processor's own name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
