"""Slate constraints before the draw, so that the propensity is that of the slate shown.

A slate that breaks a constraint is never returned: the draw itself checks it last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.base import Policy, followed
from policies.learning import observed
from policies.observation import Observation, Serving, candidate_items, columns_of, items_of
from policies.one_user import recommend
from policies.rules.constraints import Rule, check_fits, count, from_parts, to_parts
from policies.saved import Saved
from policies.slates.distributions import RandomSource, SlateDistribution, drawn
from policies.slates.parts import Parts, parts_of
from policies.slates.sequential import (
    Adjustment,
    SlateState,
    adjusted,
    next_logits,
    place_columns,
)

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What rules did to B decisions, in the order of the rules (R, B)."""

    rules: tuple[str, ...]
    closed: I64  # candidates that the rule closed before the draw
    held: I64  # places at which it closed a candidate that was left, or kept the place for its own
    missing: I64  # places that it required and that could not be filled so
    broken: I64  # violations by the slate shown: 0, or the draw would have raised

    def records(self) -> list[dict[str, Any]]:
        """One line for every rule and decision in which it did something."""
        counts = {name: getattr(self, name) for name in ("closed", "held", "missing", "broken")}
        active = np.argwhere(np.sum([*counts.values()], axis=0) > 0)
        return [
            {"rule": self.rules[r], "row": int(b)} | {k: int(v[r, b]) for k, v in counts.items()}
            for r, b in active
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """The last layer: no slate that breaks a rule leaves it."""

    inner: SlateDistribution
    rules: tuple[Rule, ...]
    seen: tuple[Observation, ...]  # by each rule

    def sample(self, rng: RandomSource) -> I32:
        action = self.inner.sample(rng)
        self._check(action)
        return action

    def drawn(self, rng: RandomSource) -> tuple[I32, F64]:
        action, prefix = drawn(self.inner, rng)
        self._check(action)
        return action, prefix

    def ranking(self, places: int) -> I32:
        action = self.inner.ranking(places)
        self._check(action)
        return action

    def prefix(self, slate: I32) -> F64:
        return self.inner.prefix(slate)

    def first_place(self) -> F64:
        return self.inner.first_place()

    def adjusted(self, adjustments: tuple[Adjustment, ...]) -> Checked:
        """Objectives may be put on top; the rules are checked last."""
        return Checked(adjusted(self.inner, adjustments), self.rules, self.seen)

    def _check(self, action: I32) -> None:
        slate = items_of(self.seen[0], action)
        for rule, obs in zip(self.rules, self.seen, strict=True):
            broken = rule.broken(obs, slate)
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
    checks_observations: ClassVar[bool] = True

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.policy.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        seen, left = self.narrowed(obs)
        return self.over(self.policy.distribution(left), seen, left)

    def followed(self) -> Constrained:
        """The policy under the same rules, for users who come again in one batch."""
        return Constrained(followed(self.policy), self.rules)

    def score_parts(self, obs: Observation) -> list[Parts]:
        """Those of the policy: rules add nothing to a score, they close items."""
        return parts_of(self.policy, self.narrowed(obs)[1])

    def over(
        self, d: SlateDistribution, seen: tuple[Observation, ...], left: Observation
    ) -> SlateDistribution:
        """A distribution over what `narrowed` left of the rows, under what rules say of slates."""
        items = candidate_items(left, self.serving.n_items)
        every = (rule.adjustment(items) for rule in self.rules)
        adjustments = tuple(one for one in every if one is not None)
        return Checked(adjusted(d, adjustments) if adjustments else d, self.rules, seen)

    def narrowed(self, obs: Observation) -> tuple[tuple[Observation, ...], Observation]:
        """What each rule sees, where those before it have closed theirs; and what all leave."""
        obs = observed(obs, self.serving)
        items = candidate_items(obs, self.serving.n_items)
        seen = []
        for rule in self.rules:
            seen.append(obs)
            obs = _without_closed(rule, obs, items)
        return tuple(seen), obs

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.policy.update(log)

    def audit(self, obs: Observation, slate: I32) -> Audit:
        """What each rule did to decisions whose slates of item ids (B, K) were shown."""
        items = candidate_items(obs, self.serving.n_items)
        seen, left = self.narrowed(obs)
        showable = items >= 0 if obs.eligible is None else (items >= 0) & obs.eligible
        pairs = list(zip(self.rules, seen, strict=True))
        assert left.eligible is not None
        return Audit(
            tuple(rule.name for rule in self.rules),
            np.stack([count(rule.closed(one, items) & showable) for rule, one in pairs]),
            held(self.rules, items, left.eligible & (items >= 0), columns_of(obs, slate)),
            np.stack([rule.missing(slate) for rule in self.rules]),
            np.stack([rule.broken(one, slate) for rule, one in pairs]),
        )

    def saved(self) -> Saved:
        parts = [to_parts(rule) for rule in self.rules]
        arrays = {f"{n}": array for n, (_, array) in enumerate(parts)}
        config = {"rules": [about for about, _ in parts]}
        return Saved(config=config, arrays=arrays, inner=self.policy)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        rules = saved.config["rules"]
        arrays = (saved.arrays[f"{n}"] for n in range(len(rules)))
        return cls(saved.inner, tuple(map(from_parts, rules, arrays)))


def held(rules: tuple[Rule, ...], items: I32, left: Bool, slate: I32) -> I64:
    """(R, B) places at which each rule narrowed what could stand there; see `closed_by_place`."""
    out = np.zeros((len(rules), len(slate)), np.int64)
    for closed in closed_by_place(rules, items, left, slate):
        for r, columns in closed.items():
            out[r] += columns.any(axis=1)
    return out


def closed_by_place(
    rules: tuple[Rule, ...], items: I32, left: Bool, slate: I32
) -> Iterator[dict[int, Bool]]:
    """For each place of slates (B, K) of columns, what each rule that looks at slates closes of
    the columns (B, C) that are left there, by the rule's number.

    A rule does where it would close by itself what was closed; where only several quotas together
    do, all that still require a place. items: (B, C) candidates; left: (B, C) those that may be
    shown.
    """
    places, base = slate.shape[1], np.where(left, 0.0, -np.inf)
    adjustments = [rule.adjustment(items) for rule in rules]
    states = {r: start() for r, start in enumerate(adjustments) if start is not None}
    for place in range(places):
        closed = _closed(base, [*states.values()], places - place)
        alone = {r: _closed(base, [one], places - place) & closed for r, one in states.items()}
        joint = closed & ~np.any([*alone.values()], axis=0) if alone else closed
        for r, state in states.items():
            required = state.required()
            if required is not None:
                alone[r] = alone[r] | (joint & (required[1] > 0)[:, None])
        yield alone
        place_columns(base, [*states.values()], slate[:, place].astype(np.int64))


def _closed(base: F64, states: list[SlateState], places: int) -> Bool:
    """Columns (B, C) that could stand next but for the adjustments."""
    closed: Bool = np.isneginf(next_logits(base, states, places)) & ~np.isneginf(base)
    return closed


def left_by_rules(d: SlateDistribution, obs: Observation, n_items: int) -> Observation:
    """The observation where what the rules of a policy closed for B users is no longer on offer,
    those of rules within rules, too; d is the distribution that the policy gave for it."""
    while isinstance(d, Checked):  # rules within see what those around them left
        obs = _without_closed(d.rules[-1], d.seen[-1], candidate_items(obs, n_items))
        d = d.inner
    return obs


def _without_closed(rule: Rule, obs: Observation, items: I32) -> Observation:
    """What a rule leaves of an observation with candidates items (B, C)."""
    free = ~rule.closed(obs, items)
    return obs.with_eligible(free if obs.eligible is None else free & obs.eligible)


def constrained(policy: Policy, *rules: Rule) -> Constrained:
    """The policy under rules, beside those that it is under already.

    Raises ValueError for no rule, and for one that the policy's sizes do not fit.
    """
    if not rules:
        raise ValueError("constrained(policy) has no rule: give at least one: policies.Cap ...")
    for rule in rules:
        check_fits(rule, policy.serving)
    if isinstance(policy, Constrained):
        return Constrained(policy.policy, policy.rules + rules)
    return Constrained(policy, rules)
