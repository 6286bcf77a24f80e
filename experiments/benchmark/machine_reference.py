"""How fast this machine is right now: three figures by which records of benchmarks compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LOOPS = 200_000  # iterations of the empty loop
COPY = 1 << 25  # bytes copied at once: more than a core's own caches hold
EXPONENTS = 100_000  # elements of numpy's exp, inside the caches
REPEATS = 5  # of which the best counts: the least disturbed one


class MachineReference(NamedTuple):
    """One thread's speed, best of a few."""

    loop_ns: float  # one iteration of an empty Python loop
    copy_gb: float  # numpy's copy of a large array: gigabytes copied in a second
    exp_ns: float  # numpy's exp, an element

    def __str__(self) -> str:
        return (
            f"machine reference: empty loop {self.loop_ns:.1f} ns, copy "
            f"{self.copy_gb:.1f} GB/s, exp {self.exp_ns:.2f} ns an element"
        )


def measure() -> MachineReference:
    """About a tenth of a second of one core."""
    source = np.ones(COPY // 8)
    copied = np.empty_like(source)
    x = np.linspace(-1, 1, EXPONENTS)
    exponents = np.empty_like(x)
    return MachineReference(
        _best(_loop) / LOOPS * 1e9,
        COPY / _best(lambda: np.copyto(copied, source)) / 1e9,
        _best(lambda: np.exp(x, out=exponents)) / EXPONENTS * 1e9,
    )


def _loop() -> None:
    for _ in range(LOOPS):
        pass


def _best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of a few runs."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
