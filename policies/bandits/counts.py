"""What came of showing each item, whoever saw it: the arms of bandits without context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from policies.moments import Moments

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Rewards of the times that each of A items was shown, and looked at, in any unit."""

    rewards: Moments  # (A,) each

    @property
    def shown(self) -> F64:
        """How often (A,)."""
        return self.rewards.count

    @classmethod
    def empty(cls, n_items: int) -> Self:
        """Nothing shown yet."""
        return cls(Moments.none(n_items, own_counts=True))

    def plus(self, item: NDArray[np.int32], reward: F64) -> Counts:
        """With more observations, (M,) each; item -1 is no observation."""
        return Counts(self.rewards.plus(Moments.by_group(item, reward, len(self.shown))))

    def mean(self, prior: float) -> F64:
        """(A,) mean reward, shrunk to the mean of all items by `prior` pseudo-observations."""
        overall = self.rewards.pooled().mean[0]
        share = self.shown / np.maximum(self.shown + prior, 1e-12)
        mean: F64 = overall + share * (self.rewards.mean - overall)
        return mean

    def spread(self) -> float:
        """Standard deviation of a reward over all observations; its size where nothing varies yet,
        and 1 where that is 0."""
        return float(self.rewards.pooled().unit()[0])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a policy saves; `from_arrays` takes it back."""
        return self.rewards.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The counts that gave the arrays, or the raw sums that folders of version 0.1 hold."""
        if "squares" not in arrays:
            return cls(Moments(**arrays))
        shown, total = arrays["shown"], arrays["total"]
        mean = total / np.maximum(shown, 1.0)
        return cls(Moments(shown, mean, np.maximum(arrays["squares"] - shown * mean**2, 0.0)))
