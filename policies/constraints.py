"""Business rules before the draw, so that the logged propensity is that of the slate shown.

A slate that breaks a rule (rules.py) is never returned: the last check stands in the draw itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.base import Observation, Policy, Serving, items_of
from policies.one_user import recommend
from policies.rules import Rule, offered, read, written
from policies.saved import Saved
from policies.sequential import Term, with_terms
from policies.slates import SlateDistribution

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What rules did to B decisions, in the order of the rules (R, B)."""

    rules: tuple[str, ...]
    closed: I64  # candidates that the rule closed before the draw
    missing: I64  # places that it wanted and could not have
    broken: I64  # violations by the slate shown: 0, or the draw would have raised

    def records(self) -> list[dict[str, Any]]:
        """One line for every rule and decision in which it did something."""
        touched = np.argwhere((self.closed + self.missing + self.broken) > 0)
        return [
            {
                "rule": self.rules[r],
                "row": int(b),
                "closed": int(self.closed[r, b]),
                "missing": int(self.missing[r, b]),
                "broken": int(self.broken[r, b]),
            }
            for r, b in touched
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """The last layer: no slate that breaks a rule leaves it."""

    inner: SlateDistribution
    rules: tuple[Rule, ...]
    obs: Observation

    def sample(self, rng: np.random.Generator) -> I32:
        action = self.inner.sample(rng)
        self._check(action)
        return action

    def ranking(self, places: int) -> I32:
        return self.inner.ranking(places)

    def prefix(self, slate: I32) -> F64:
        return self.inner.prefix(slate)

    def first_place(self) -> F64:
        return self.inner.first_place()

    def with_terms(self, terms: tuple[Term, ...]) -> Checked:
        """Tastes may be put on top; the rules stay last."""
        return Checked(with_terms(self.inner, terms), self.rules, self.obs)

    def _check(self, action: I32) -> None:
        slate = items_of(self.obs, action)
        for rule in self.rules:
            broken = rule.broken(self.obs, slate)
            if broken.any():
                row = int(np.argmax(broken > 0))
                raise AssertionError(
                    f"rule {rule.name!r} is broken by slate {slate[row].tolist()} of row {row}: "
                    "nothing was shown. This is a fault in the rule or in its distribution."
                )


@dataclass(slots=True)
class Constrained:
    """A policy under rules. What rules close is closed before the policy looks at the row."""

    policy: Policy
    rules: tuple[Rule, ...]

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.policy.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        items = offered(obs, self.serving.n_items)
        allowed = ~np.any([rule.closed(obs, items) for rule in self.rules], axis=0)
        allowed = allowed if obs.eligible is None else allowed & obs.eligible
        open_ = obs.with_eligible(allowed)
        terms = tuple(t for t in (rule.term(items) for rule in self.rules) if t is not None)
        d = self.policy.distribution(open_)
        return Checked(with_terms(d, terms) if terms else d, self.rules, obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.policy.update(log)

    def audit(self, obs: Observation, slate: I32) -> Audit:
        """What each rule did to decisions whose slates of item ids (B, K) were shown."""
        items = offered(obs, self.serving.n_items)
        return Audit(
            tuple(rule.name for rule in self.rules),
            np.stack([rule.closed(obs, items).sum(axis=1) for rule in self.rules]),
            np.stack([rule.missing(slate) for rule in self.rules]),
            np.stack([rule.broken(obs, slate) for rule in self.rules]),
        )

    def saved(self) -> Saved:
        parts = [written(rule) for rule in self.rules]
        arrays = {f"{n}": array for n, (_, array) in enumerate(parts)}
        config = {"rules": [about for about, _ in parts]}
        return Saved(config=config, arrays=arrays, inner=self.policy)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        rules = saved.config["rules"]
        made = (read(about, saved.arrays[f"{n}"]) for n, about in enumerate(rules))
        return cls(saved.inner, tuple(made))


def constrained(policy: Policy, *rules: Rule) -> Constrained:
    """The policy under rules; raises ValueError for arrays of another catalogue."""
    for rule in rules:
        _, array = written(rule)
        if array.shape != (policy.serving.n_items,):
            raise ValueError(
                f"rule {rule.name!r} speaks of {len(array)} items and the catalogue has "
                f"{policy.serving.n_items}: give one entry for every item"
            )
    return Constrained(policy, rules)
