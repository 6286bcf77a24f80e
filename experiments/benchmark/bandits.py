"""`longplay benchmark bandits`: predictions and updates of linear bandits per CPU-second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One thread; a prediction is one user's bounds of all arms, an update one user's reward."""

    size: int = 32
    """Numbers that an arm sees of a user."""
    arms: tuple[int, ...] = (100, 1000, 5000)
    batch: int = 100
    """Users predicted, and rewards learned, at a time."""
    seconds: float = 2.0
    """CPU time of each line."""

    def __post_init__(self) -> None:
        if min(self.size, self.batch, *self.arms) < 1 or self.seconds <= 0:
            raise ValueError("size, batch, arms and seconds must be positive")


def run(settings: Settings) -> int:
    """A line for each number of arms."""
    print(f"LinUCB, {settings.size} numbers a user, batches of {settings.batch}, one thread")
    print(f"{'arms':<6} {'users a CPU-s':>15} {'bounds a CPU-s':>16} {'updates a CPU-s':>16}")
    for count in settings.arms:
        predictions, updates = speed(settings, count)
        print(f"{count:<6} {predictions:>15,.0f} {predictions * count:>16,.0f} {updates:>16,.0f}")
    return 0


def speed(settings: Settings, count: int) -> tuple[float, float]:
    """(users whose arms were all bounded, rewards learned) per CPU-second."""
    import numpy as np

    from policies.bandits.linear import Regressions

    rng = np.random.default_rng(0)
    bandit = Regressions.empty(count, settings.size, 1.0)
    x = rng.normal(size=(settings.batch, settings.size))
    chosen = rng.integers(count, size=(settings.batch, 1)).astype(np.int32)
    reward = rng.normal(size=(settings.batch, 1))
    return (
        rate(lambda: bandit.bounds(x, None, 0.5), settings),
        rate(lambda: bandit.add(x, chosen, reward), settings),
    )


def rate(work: Callable[[], object], settings: Settings) -> float:
    """Rows of a batch per CPU-second of calling `work`, after one call that is not timed."""
    import time

    work()
    rounds, start = 0, time.process_time()
    while time.process_time() - start < settings.seconds:
        work()
        rounds += 1
    return rounds * settings.batch / (time.process_time() - start)
