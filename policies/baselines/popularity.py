"""Most consumed first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.consumption import consumption
from policies.encoders.data.sequences import Sequences
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import SHARE


@dataclass(slots=True)
class Popularity:
    """Log of how often an item was consumed: of sequences at birth, of every log after that."""

    serving: Serving
    counts: NDArray[np.float64]  # (A,)
    keep: float = 1.0  # share of the counts that a new log leaves; 1 = of all time

    def scores(self, obs: Observation) -> Scores:
        return pick(np.log1p(self.counts), obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if log.consumed is not None:
            self.counts = self.keep * self.counts + consumption(log)
        return {"items_seen": float((self.counts > 0).sum())}

    def saved(self) -> Saved:
        return Saved(config={"keep": self.keep}, arrays={"counts": self.counts})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, saved.arrays["counts"], **saved.config)


def popularity(
    serving: Serving,
    *,
    sequences: Sequences | None = None,
    keep: float = 1.0,
    temperature: float | None = None,
    epsilon: float = 0.0,
) -> ScorePolicy:
    """Most consumed first; `sequences` are the counts it starts from.

    keep: share of the counts that a new log leaves; 1 = popular of all time, 0 = in the last log.
    """
    SHARE.check("keep", keep)
    counts = np.zeros(serving.n_items)
    if sequences is not None:
        counts += np.bincount(sequences.items, minlength=serving.n_items)
    return ScorePolicy(
        Popularity(serving, counts, keep), Exploration(temperature=temperature, epsilon=epsilon)
    )
