"""What learns: a policy of the registry of policies, its settings, and whether to step to it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.base import Learner, Policy
from policies.catalog import POLICIES, build
from policies.improve.path import KINDS, Kind
from policies.observation import Serving
from policies.saved import Savable
from policies.saving.folders import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A learner by its name in POLICIES. Raises ValueError for one that there is not."""

    name: str = "one_step"
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain values, as JSON keeps them
    step: bool = True  # serve the furthest step from the champion towards it; False: itself
    kind: Kind = "geometric"  # of the path

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise ValueError(f"no learner {self.name!r}; there are {', '.join(sorted(POLICIES))}")
        if self.kind not in KINDS:
            raise ValueError(f"no path of kind {self.kind!r}; there are {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A policy as it was at a moment, which learns elsewhere. Raises ValueError for a bad path."""

    policy: Savable
    taught: NDArray[np.int64]  # units (users, or sessions) that taught it
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # what to say of it
    step: bool = True
    kind: Kind = "geometric"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no path of kind {self.kind!r}; there are {', '.join(KINDS)}")


def inputs_of(learner: Recipe | Snapshot) -> list[Any]:
    """All that decides what the learner makes of a log, as plain values."""
    said = [learner.name, dict(learner.settings), learner.step, learner.kind]
    if isinstance(learner, Recipe):
        return said
    units = np.ascontiguousarray(learner.taught, np.int64).tobytes()
    return [*said, content_hash(learner.policy), hashlib.sha256(units).hexdigest()]


def learnt(recipe: Recipe, serving: Serving, log: LoggedDataset, seed: int) -> Policy:
    """The recipe's policy after one update with the log. It draws by temperature 1 and reads the
    first response unless its settings say otherwise, as in `longplay improve`.

    Raises ValueError for a setting that it does not have, and where it learns by acting only.
    """
    offered: dict[str, Any] = {"seed": seed, "temperature": 1.0}
    if serving.response_names and "quality" not in serving.response_names:
        offered["response"] = serving.response_names[0]
    takes = inspect.signature(POLICIES[recipe.name].load()).parameters
    given = {k: v for k, v in offered.items() if k in takes} | dict(recipe.settings)
    policy = build(recipe.name, serving, **given)
    if isinstance(policy, Learner):
        raise ValueError(
            f"{recipe.name} learns by acting in a world, not from a log: train it (longplay "
            "train-policy), add it (longplay release add) and judge it (longplay gate)"
        )
    policy.update(log)
    return policy
