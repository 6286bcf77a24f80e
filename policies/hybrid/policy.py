"""Two stages: a list that was made offline, and a policy that chooses among it online."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from offpolicy.log.dataset import LoggedDataset
from policies.base import Policy
from policies.hybrid.candidates import CandidateTable
from policies.hybrid.listed import Listed
from policies.learning import observed
from policies.observation import Observation, Serving
from policies.one_user import recommend
from policies.saved import Saved
from policies.slates.distributions import SlateDistribution


@dataclass(frozen=True, slots=True, eq=False)
class Hybrid:
    """A policy of the whole catalogue that scores a user's short list alone; items that are not on
    it have probability 0.

    Rules may be put around it or inside, around the reranker. Lists must be longer than what rules
    close of them and a slate. `update` teaches the reranker; lists are made anew by
    `candidate_table`.

    Raises ValueError for a reranker that chooses among candidates, or lists of other items.
    """

    reranker: Policy
    table: CandidateTable

    recommend = recommend

    def __post_init__(self) -> None:
        serving = self.reranker.serving
        if serving.n_candidates is not None:
            raise ValueError(
                f"the reranker chooses among {serving.n_candidates} candidates that are given: "
                "serve it as it is, with the table as its retrieval"
            )
        if len(self.table.items) != serving.n_items + 1:
            raise ValueError(
                f"the lists are of {len(self.table.items) - 1} items and the reranker's catalogue "
                f"of {serving.n_items}"
            )
        if self.table.length < serving.slate_size:
            raise ValueError(
                f"lists of {self.table.length} items fill no slate of {serving.slate_size}"
            )

    @property
    def serving(self) -> Serving:
        return self.reranker.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        obs = observed(obs, self.serving)
        items = self.table(obs.history_items)
        left = None
        if obs.eligible is not None:
            left = np.take_along_axis(obs.eligible, items.astype(np.int64), axis=1)
        on_list = replace(obs, candidates=items, eligible=left)
        return Listed(self.reranker.distribution(on_list), items, self.serving.columns)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.reranker.update(log)

    def saved(self) -> Saved:
        config = {"made": self.table.made, "valid_s": self.table.valid_s}
        return Saved(config=config, arrays={"candidates": self.table.items}, inner=self.reranker)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        items = saved.arrays["candidates"]
        table = CandidateTable(items, saved.config["made"], saved.config["valid_s"])
        return cls(saved.inner, table)
