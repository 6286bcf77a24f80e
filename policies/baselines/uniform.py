"""Uniform slates: what a log of random traffic is made by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.observation import candidate_items
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every candidate alike."""

    serving: Serving

    def scores(self, obs: Observation) -> Scores:
        return np.zeros(candidate_items(obs, self.serving.n_items).shape)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}

    def saved(self) -> Saved:
        return Saved()

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving)


def uniform(serving: Serving) -> ScorePolicy:
    """All slates of the candidates alike."""
    return ScorePolicy(Uniform(serving), Exploration(temperature=1.0))
