"""Most consumed first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.configured import configured, part
from policies.consumption import consumption
from policies.encoders.data.sequences import Sequences
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityConfig(Exploration):
    """How counts become slates, and how fast they are forgotten."""

    keep: float = 1.0  # share of the counts that a new log leaves; 1: of all time, 0: of it alone

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        SHARE.check("keep", self.keep)


@dataclass(slots=True)
class Popularity:
    """Logarithm of how often an item was consumed: in the first sequences, then in every log."""

    serving: Serving
    counts: NDArray[np.float64]  # (A,)
    keep: float = 1.0

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


@configured(PopularityConfig)
def popularity(
    serving: Serving, config: PopularityConfig, sequences: Sequences | None
) -> ScorePolicy:
    """Most consumed first; `sequences` are the counts it starts from."""
    counts = np.zeros(serving.n_items)
    if sequences is not None:
        if sequences.n_items != serving.n_items:
            raise ValueError(
                f"the sequences are of {sequences.n_items} items and the policy's catalogue has "
                f"{serving.n_items}: give sequences of this catalogue"
            )
        counts += np.bincount(sequences.items, minlength=serving.n_items)
    return ScorePolicy(Popularity(serving, counts, config.keep), part(config, Exploration))
