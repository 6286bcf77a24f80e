"""Re-ranking objectives, diversity, freshness and fair exposure, as adjustments of the logits.

What is drawn is then the adjusted policy, and its propensity is exact. Weights are in the units of
the policy's logits (of its scores, where it shows the best).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.base import Policy
from policies.learning import learning_log, observed
from policies.observation import Observation, Serving, candidate_items
from policies.one_user import recommend
from policies.rules.slate_states import Bonus, NearestState, VolumeState
from policies.saved import Saved, under
from policies.slates.distributions import SlateDistribution
from policies.slates.parts import Parts, named_adjustments, parts_of
from policies.slates.sequential import Adjustment, adjusted
from policies.validation import whole

Bool = NDArray[np.bool_]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


LARGEST = 1e30  # what is added to scores stays a number


class Objective(Protocol):
    """What is preferred in a slate beside the scores of its items."""

    def adjustment(self, items: I32) -> Adjustment:
        """What it adds at each place of slates of candidates items (B, C)."""

    def update(self, log: LoggedDataset) -> None:
        """Count what was shown."""


@dataclass(slots=True, eq=False)
class MMR:
    """- weight times the cosine with the most similar item above. Carbonell & Goldstein (1998)."""

    vectors: F32  # (A, D)
    weight: float

    def __post_init__(self) -> None:
        _numbers(self, vectors=2, weight=0)

    def adjustment(self, items: I32) -> Adjustment:
        return partial(NearestState, _unit(self.vectors)[np.maximum(items, 0)], self.weight)

    def update(self, log: LoggedDataset) -> None:
        """Similarity does not depend on what was shown."""


@dataclass(slots=True, eq=False)
class Determinantal:
    """+ weight times the log of the volume that an item adds to the items above.

    The greedy step of a determinantal point process, one Cholesky row for each place. Chen, Zhang &
    Zhou (2018).
    """

    vectors: F32  # (A, D)
    weight: float

    def __post_init__(self) -> None:
        _numbers(self, vectors=2, weight=0)

    def adjustment(self, items: I32) -> Adjustment:
        return partial(VolumeState, _unit(self.vectors)[np.maximum(items, 0)], self.weight)

    def update(self, log: LoggedDataset) -> None:
        """Volumes do not depend on what was shown."""


@dataclass(slots=True, eq=False)
class Fresh:
    """+ weight halved for every `half_life` of an item's age."""

    age: F64  # (A,) in any unit of time, >= 0
    half_life: float
    weight: float

    def __post_init__(self) -> None:
        _numbers(self, age=1, half_life=0, weight=0)
        if self.age.min(initial=0) < 0 or self.half_life <= 0:
            raise ValueError(
                f"Fresh needs ages >= 0 and a half-life > 0, got ages from {self.age.min()} and a "
                f"half-life of {self.half_life}: age counts from now back"
            )

    def adjustment(self, items: I32) -> Adjustment:
        bonus = self.weight * 0.5 ** (self.age / self.half_life)
        return partial(Bonus, bonus[np.maximum(items, 0)])

    def update(self, log: LoggedDataset) -> None:
        """Ages are given, not learned."""


@dataclass(slots=True, eq=False)
class FairExposure:
    """+ weight times how far a provider's exposure lags behind its due. Morik et al. (2020).

    Exposure of place k counts 1 / log2(k + 2); dues are shares of all exposure. The lag is
    1 - (share so far) / due, times the updates so far: as long as it lasts, it weighs more.
    """

    provider: I32  # (A,)
    due: F64  # (P,) shares that sum to 1
    weight: float
    exposure: F64  # (P,) so far; `update` adds a log's
    updates: int = 0

    def __post_init__(self) -> None:
        _numbers(self, due=1, exposure=1, weight=0)
        whole(0).check("FairExposure.updates", self.updates)
        self.provider = np.asarray(self.provider)
        if self.provider.ndim != 1 or self.provider.dtype.kind not in "iu":
            raise ValueError(
                f"FairExposure.provider is {self.provider.dtype} of shape {self.provider.shape}: "
                "give the number of its provider for every item (A,)"
            )
        if (
            self.due.shape != self.exposure.shape
            or self.due.min(initial=0) < 0
            or abs(self.due.sum() - 1) > 1e-6
        ):
            raise ValueError(
                f"FairExposure needs one due and one exposure for every provider, dues >= 0 that "
                f"sum to 1, got dues {self.due} and exposure {self.exposure}"
            )
        if self.provider.min(initial=0) < 0 or self.provider.max(initial=0) >= len(self.due):
            raise ValueError(
                f"FairExposure knows providers 0..{len(self.due) - 1}, and items are of "
                f"{self.provider.min()}..{self.provider.max()}: give a due for each"
            )

    def adjustment(self, items: I32) -> Adjustment:
        total = self.exposure.sum()
        share = self.exposure / total if total > 0 else self.due
        lag = self.updates * (1.0 - share / np.maximum(self.due, 1e-12))
        return partial(Bonus, self.weight * lag[self.provider[np.maximum(items, 0)]])

    def update(self, log: LoggedDataset) -> None:
        shown = log.slate >= 0
        exposure = np.broadcast_to(1 / np.log2(np.arange(log.slate.shape[1]) + 2), log.slate.shape)
        owner = self.provider[log.slate[shown]]
        self.exposure = self.exposure + np.bincount(owner, exposure[shown], len(self.exposure))
        self.updates += 1


@dataclass(slots=True)
class Reranked:
    """A policy with re-ranking objectives."""

    policy: Policy
    objectives: tuple[Objective, ...]

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.policy.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        obs = observed(obs, self.serving)
        items = candidate_items(obs, self.serving.n_items)
        adjustments = tuple(objective.adjustment(items) for objective in self.objectives)
        return adjusted(self.policy.distribution(obs), adjustments)

    def score_parts(self, obs: Observation) -> list[Parts]:
        """Those of the policy, and what each objective adds at the first place."""
        items = candidate_items(obs, self.serving.n_items)
        named = [(f"re-ranking {type(o).__name__}", o.adjustment(items)) for o in self.objectives]
        added = named_adjustments(named)
        return [p._replace(logits=p.logits | added) for p in parts_of(self.policy, obs)]

    def update(self, log: LoggedDataset) -> dict[str, float]:
        log = learning_log(log, self.serving)
        for objective in self.objectives:
            objective.update(log)
        return self.policy.update(log)

    def saved(self) -> Saved:
        config: dict[str, Any] = {"objectives": []}
        arrays: dict[str, NDArray[Any]] = {}
        for nth, objective in enumerate(self.objectives):
            about = {"kind": type(objective).__name__}
            for name in (f.name for f in fields(OBJECTIVES[about["kind"]])):
                value = getattr(objective, name)
                if isinstance(value, np.ndarray):
                    arrays[f"{nth}.{name}"] = value
                else:
                    about[name] = value
            config["objectives"].append(about)
        return Saved(config=config, arrays=arrays, inner=self.policy)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        objectives = []
        for nth, about in enumerate(saved.config["objectives"]):
            kind: Any = OBJECTIVES[about["kind"]]
            values = {k: v for k, v in about.items() if k != "kind"}
            objectives.append(kind(**values, **under(f"{nth}.", saved.arrays)))
        return cls(saved.inner, tuple(objectives))


OBJECTIVES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (MMR, Determinantal, Fresh, FairExposure)
}


def reranked(policy: Policy, *objectives: Objective) -> Reranked:
    """The policy with re-ranking objectives, which are added up.

    Raises ValueError for no objective, a rule, or an objective of another catalogue.
    """
    if not objectives:
        raise ValueError(
            "reranked(policy) has no objective: give at least one, of policies.rules.rerank"
        )
    for objective in objectives:
        name = type(objective).__name__
        if not hasattr(objective, "update"):
            raise ValueError(f"{name} is no objective; rules go into constrained(policy, ...)")
        for what in ("vectors", "age", "provider"):
            column = getattr(objective, what, None)
            if column is not None and len(column) != policy.serving.n_items:
                raise ValueError(
                    f"{name}.{what} has entries for {len(column)} items and the catalogue has "
                    f"{policy.serving.n_items}: give one entry for every item"
                )
    return Reranked(policy, objectives)


def _numbers(objective: Objective, **axes: int) -> None:
    """Make fields arrays with so many axes, or numbers where they have none; all must be finite."""
    for what, wanted in axes.items():
        value = np.asarray(getattr(objective, what))
        if value.ndim != wanted or value.dtype.kind not in "fiu":
            raise ValueError(
                f"{type(objective).__name__}.{what} is {value.dtype} of shape {value.shape}: give "
                f"{('a number', 'numbers (A,)', 'numbers (A, D)')[wanted]}"
            )
        setattr(objective, what, value if wanted else value.item())
        if not (np.abs(value) <= LARGEST).all():
            raise ValueError(
                f"{type(objective).__name__}.{what} holds a value that is not finite, or above "
                f"{LARGEST:g} in size: scores would be ranked by it in silence"
            )


def _unit(vectors: F32) -> F64:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: F64 = (vectors / np.where(norm > 0, norm, 1.0)).astype(np.float64)
    return unit
