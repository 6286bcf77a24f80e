"""What came of showing each item, whoever saw it: the arms of bandits without context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Sums over the times that each of A items was shown, and looked at."""

    shown: F64  # (A,)
    total: F64  # (A,) of the reward
    squares: F64  # (A,) of the reward, squared

    @classmethod
    def empty(cls, n_items: int) -> Self:
        """Nothing shown yet."""
        none = np.zeros(n_items)
        return cls(none, none, none)

    def plus(self, item: NDArray[np.int32], reward: F64) -> Counts:
        """With more observations, (M,) each; item -1 is no observation."""
        observed = item >= 0
        item, reward = item[observed], reward[observed]
        size = len(self.shown)
        return Counts(
            self.shown + np.bincount(item, minlength=size),
            self.total + np.bincount(item, reward, minlength=size),
            self.squares + np.bincount(item, reward**2, minlength=size),
        )

    def mean(self, prior: float) -> F64:
        """(A,) mean reward, shrunk to the mean of all items by `prior` pseudo-observations."""
        overall = self.total.sum() / max(self.shown.sum(), 1.0)
        mean: F64 = (self.total + prior * overall) / np.maximum(self.shown + prior, 1e-12)
        return mean

    def spread(self) -> float:
        """Standard deviation of a reward over all observations; 1 where nothing varies yet."""
        n = max(self.shown.sum(), 1.0)
        variance = self.squares.sum() / n - (self.total.sum() / n) ** 2
        return float(np.sqrt(variance)) if variance > 1e-12 else 1.0

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a policy saves; `from_arrays` takes it back."""
        return {"shown": self.shown, "total": self.total, "squares": self.squares}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The counts that gave the arrays."""
        return cls(**arrays)
