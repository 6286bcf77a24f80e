"""Which past items moved the scores: each left out of the history, all variants in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy
from policies.observation import Observation, candidate_items
from policies.rules.constrained import left_by_rules
from policies.slates.distributions import SlateDistribution
from policies.slates.parts import parts_of
from serving.explaining.explanation import Moved, PastItem, finite
from serving.explaining.scores import heaviest

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def without_each(obs: Observation) -> Observation:
    """One row as it is, and then without each item of its history, the oldest first; what is on
    offer stays the same."""
    items, responses = obs.history_items[0], obs.history_responses[0]
    taken = np.flatnonzero(items >= 0)
    rows = obs.rows(np.zeros(1 + len(taken), np.int64))
    every = [np.arange(len(items))]
    every += [np.r_[place, np.delete(np.arange(len(items)), place)] for place in taken]
    order = np.stack(every)  # what is left out stands in front
    histories, observed = items[order], responses[order]
    histories[1:, 0], observed[1:, 0] = -1, 0.0
    return replace(rows, history_items=histories, history_responses=observed)


def influence(
    policy: Policy, obs: Observation, slate: I32, names: Sequence[str]
) -> tuple[PastItem, ...]:
    """Of one row with a slate (1, K) of columns; what moved most first.

    Scores are those of the component that most slates are drawn from, relative to the mean of what
    may be shown: only differences between items matter to a slate.
    """
    variants = without_each(obs)
    d = policy.distribution(variants)
    first, chance = d.first_place(), d.prefix(np.repeat(slate, len(variants), axis=0))[:, -1]
    score = _relative_scores(policy, variants, d)
    columns = slate[0][slate[0] >= 0]
    items = columns if obs.candidates is None else obs.candidates[0][columns]
    taken = obs.history_items[0][obs.history_items[0] >= 0]
    out = []
    for n, past in enumerate(taken.tolist(), 1):
        moved = score[0, columns] - score[n, columns]
        propensity = first[0, columns] - first[n, columns]
        known = np.abs(moved[np.isfinite(moved)])
        out.append(
            PastItem(
                item=names[past],
                ago=len(taken) - n + 1,
                moved=float(known.mean()) if len(known) else 0.0,
                slate_propensity=float(chance[0] - chance[n]),
                items=tuple(
                    Moved(item=names[item], score=finite(by), propensity=float(p))
                    for item, by, p in zip(items.tolist(), moved, propensity, strict=True)
                ),
            )
        )
    return tuple(sorted(out, key=lambda one: (-one.moved, -abs(one.slate_propensity), one.ago)))


def _relative_scores(policy: Policy, obs: Observation, d: SlateDistribution) -> F64:
    """(B, C) logits of the heaviest component, less their mean over what every row may show; NaN
    where there is none."""
    items = candidate_items(obs, policy.serving.n_items)
    left = left_by_rules(d, obs, policy.serving.n_items).eligible
    parts = parts_of(policy, obs)[heaviest(d)]
    score: F64 = sum(parts.logits.values(), np.zeros(items.shape))
    known = ((items >= 0) & np.isfinite(score) & (True if left is None else left)).all(axis=0)
    mean = score[:, known].mean(axis=1, keepdims=True) if known.any() else 0.0
    return np.where(np.isfinite(score), score, np.nan) - mean
