"""One user's scores, taken apart: components, candidates with their parts, and the slate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy, conditional
from policies.observation import Observation, candidate_items, columns_of
from policies.slates.distributions import SlateDistribution
from policies.slates.parts import form_of, leaves, parts_of
from policies.slates.sequential import Sequential, place_columns
from serving.explaining.closings import closings
from serving.explaining.explanation import Candidate, Component, Place, RuleEffect, finite

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


class Scores(NamedTuple):
    """Of one user."""

    slate: I32  # (1, K) columns
    places: tuple[Place, ...]
    propensity: float  # of the whole slate
    components: tuple[Component, ...]
    candidates: tuple[Candidate, ...]
    rules: tuple[RuleEffect, ...]


def scores_of(policy: Policy, obs: Observation, shown: I32 | None, names: Sequence[str]) -> Scores:
    """Of one row, with the slate of items (1, K) that was shown; None = the policy's ranking."""
    d = policy.distribution(obs)
    items = candidate_items(obs, policy.serving.n_items)
    slate = d.ranking(policy.serving.slate_size) if shown is None else columns_of(obs, shown)
    prefix = d.prefix(slate)
    by_place = conditional(prefix)[0]
    added = _adjustments(d, slate)
    places = [
        Place(
            place=k + 1,
            item=names[items[0, column]],
            propensity=float(by_place[k]),
            adjustment=float(added[k]),
        )
        for k, column in enumerate(slate[0].tolist())
        if column >= 0
    ]
    components, candidates, rules = _candidates(policy, obs, d, slate, names)
    return Scores(slate, tuple(places), float(prefix[0, -1]), components, candidates, rules)


def heaviest(d: SlateDistribution) -> int:
    """The component that most slates are drawn from."""
    return int(np.argmax([weight for weight, _ in leaves(d)]))


def _candidates(
    policy: Policy, obs: Observation, d: SlateDistribution, slate: I32, names: Sequence[str]
) -> tuple[tuple[Component, ...], tuple[Candidate, ...], tuple[RuleEffect, ...]]:
    items = candidate_items(obs, policy.serving.n_items)
    every, parts = leaves(d), parts_of(policy, obs)
    if len(every) != len(parts):
        raise ValueError(
            f"{type(policy).__name__}.score_parts speaks of {len(parts)} distributions and the "
            f"policy mixes {len(every)}: it must give one for each, in their order"
        )
    components = tuple(
        Component(
            name=part.name,
            weight=weight,
            form=form_of(leaf),
            temperature=part.temperature,
            parts=tuple(part.logits),
        )
        for (weight, leaf), part in zip(every, parts, strict=True)
    )
    logits = [sum(part.logits.values(), np.zeros(items.shape))[0] for part in parts]
    chances = [leaf.first_place()[0] for _, leaf in every]
    closed, rules, _ = closings(d, obs, items, slate, names)
    first, place = d.first_place()[0], {c: k for k, c in enumerate(slate[0].tolist(), 1)}
    on_offer = items[0] >= 0 if obs.eligible is None else (items[0] >= 0) & obs.eligible[0]
    candidates = [
        Candidate(
            item=names[items[0, c]],
            place=place.get(c),
            parts=tuple({k: finite(v[0, c]) for k, v in part.logits.items()} for part in parts),
            logits=tuple(finite(one[c]) for one in logits),
            chances=tuple(float(one[c]) for one in chances),
            propensity=float(first[c]),
            closed=closed[c],
        )
        for c in np.flatnonzero(on_offer).tolist()
    ]
    main = heaviest(d)
    return components, tuple(sorted(candidates, key=lambda one: _order(one, main))), rules


def _order(one: Candidate, main: int) -> tuple[float, ...]:
    """By place, what could be shown by propensity and logit, then what was closed."""
    logit = one.logits[main]
    closed = one.closed is not None and one.closed.place is None
    place = float("inf") if one.place is None else one.place
    return place, closed, -one.propensity, float("inf") if logit is None else -logit


def _adjustments(d: SlateDistribution, slate: I32) -> F64:
    """(K,) what re-ranking adds, at each place, to the item that stands there."""
    _, leaf = leaves(d)[heaviest(d)]
    out = np.zeros(slate.shape[1])
    if not isinstance(leaf, Sequential):
        return out
    states, left = [start() for start in leaf.adjustments], leaf.base.copy()
    for place, column in enumerate(slate.T.astype(np.int64)):
        if column[0] >= 0:
            out[place] = sum((float(state.logits()[0, column[0]]) for state in states), 0.0)
        place_columns(left, states, column)
    return out
