"""Canaries that are not what they say: wrong propensities, or other slates from some time on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset
from policies.base import Policy
from policies.observation import Observation, Serving
from policies.slates.distributions import RandomSource, SlateDistribution
from serving import Engine

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Around = Callable[[Policy], Policy]


@dataclass(frozen=True, slots=True)
class Misdrawn:
    """Slates are drawn by `drawn_by`, and `said` is what the log is told."""

    said: SlateDistribution
    drawn_by: SlateDistribution

    def sample(self, rng: RandomSource) -> I32:
        return self.drawn_by.sample(rng)

    def prefix(self, slate: I32) -> F64:
        return self.said.prefix(slate)

    def first_place(self) -> F64:
        return self.said.first_place()

    def ranking(self, places: int) -> I32:
        return self.said.ranking(places)


@dataclass(frozen=True, slots=True)
class Misdrawing:
    """Draws by one policy, and logs what another would have done."""

    said: Policy
    drawn_by: Policy

    @property
    def serving(self) -> Serving:
        return self.said.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        return Misdrawn(self.said.distribution(obs), self.drawn_by.distribution(obs))

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.said.update(log)


@dataclass(frozen=True, slots=True)
class Turning:
    """One policy before `at` (s of the clock), another from then on, under the same version."""

    before: Policy
    after: Policy
    clock: Callable[[], float]
    at: float

    @property
    def serving(self) -> Serving:
        return self.before.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        now = self.before if self.clock() < self.at else self.after
        return now.distribution(obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.before.update(log)


def wrap_canary(engine: Engine, around: Around) -> None:
    """Whatever canary the engine is given from now on, `around` it is served."""
    given: Any = engine.set_canary

    def set_canary(policy: Policy, **told: Any) -> Any:
        return given(around(policy), **told)

    engine.set_canary = set_canary  # type: ignore[method-assign]
