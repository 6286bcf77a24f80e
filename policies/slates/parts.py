"""What a slate distribution's logits are made of: for people who ask why an item was shown.

A distribution is a mixture of leaves, most often of one and the uniform slates of exploration. A
policy that can take its scores apart has a method `score_parts(obs)`: one `Parts` for each leaf of
its distribution, in their order. The sum of the parts is what the leaf draws the first place by, up
to a number a row, but for what rules close.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from policies.observation import Observation
from policies.slates.distributions import Mixture, PlackettLuce, SlateDistribution, TopK
from policies.slates.sequential import Adjustment, Sequential

F64 = NDArray[np.float64]
Form = Literal["softmax", "best", "draws", "other"]
SCORE = "score"  # the only part of what cannot be taken apart
UNIFORM = "exploration"  # the leaf of uniform slates


class Parts(NamedTuple):
    """Of one leaf."""

    name: str
    temperature: float | None  # that scores were divided by; None = the best are shown, or unknown
    logits: dict[str, F64]  # (B, C) each; none = all candidates alike


@runtime_checkable
class Explained(Protocol):
    """A policy that can take its scores apart."""

    def score_parts(self, obs: Observation) -> list[Parts]:
        """For each leaf of `distribution(obs)`."""


def parts_of(policy: Any, obs: Observation) -> list[Parts]:
    """What a policy says of its scores; of one that does not, one part `score` for each leaf."""
    if isinstance(policy, Explained):
        return policy.score_parts(obs)
    return parts_of_distribution(policy.distribution(obs))


def parts_of_distribution(d: SlateDistribution) -> list[Parts]:
    """One part `score` for each leaf, of the numbers that it goes by."""
    every = leaves(d)
    return [
        _whole(leaf, f"policy {n}" if n > 1 else "policy") for n, (_, leaf) in enumerate(every, 1)
    ]


def parts_of_scores(model: Any, obs: Observation) -> dict[str, F64]:
    """The parts (B, C) of a score model's scores: by its method `parts`, or one part `score`."""
    own = getattr(model, "parts", None)
    given = {SCORE: model.scores(obs)} if own is None else own(obs)
    return {name: np.asarray(value, np.float64) for name, value in given.items()}


def leaves(d: SlateDistribution, weight: float = 1.0) -> list[tuple[float, SlateDistribution]]:
    """(weight, distribution) of all that a distribution mixes, whatever stands around them; the
    weights sum to 1."""
    if isinstance(d, Mixture):
        pairs = zip(d.parts, d.weights, strict=True)
        return [leaf for part, share in pairs for leaf in leaves(part, weight * share)]
    inner: SlateDistribution | None = getattr(d, "inner", None)
    return [(weight, d)] if inner is None else leaves(inner, weight)


def form_of(leaf: SlateDistribution) -> Form:
    """How a leaf makes slates of its logits; `draws` where each of several scores shows its best,
    and `other` where that is not known."""
    if isinstance(leaf, PlackettLuce):
        return "softmax"
    if isinstance(leaf, TopK):
        return "best"
    if isinstance(leaf, Sequential):
        return "best" if leaf.greedy else "softmax"
    return "draws" if hasattr(leaf, "mean") else "other"


def named_adjustments(named: list[tuple[str, Adjustment]]) -> dict[str, F64]:
    """What adjustments add (B, C) at the first place; of those of one name the later are
    numbered."""
    out: dict[str, F64] = {}
    for name, start in named:
        n = 1 + sum(known.split(" #")[0] == name for known in out)
        out[name if n == 1 else f"{name} #{n}"] = np.asarray(start().logits(), np.float64)
    return out


def _whole(d: SlateDistribution, name: str) -> Parts:
    """One part for the numbers that a distribution goes by, if it has any."""
    if isinstance(d, PlackettLuce):
        low = np.where(np.isneginf(d.logits), np.inf, d.logits).min(axis=1)
        alike = (d.logits.max(axis=1) <= low).all()
        return Parts(UNIFORM, None, {}) if alike else Parts(name, None, {SCORE: d.logits})
    if isinstance(d, TopK):
        return Parts(name, None, {SCORE: d.scores})
    if isinstance(d, Sequential):
        pairs = [("re-ranking", one) for one in d.adjustments]
        return Parts(name, None, {SCORE: d.base} | named_adjustments(pairs))
    mean: F64 | None = getattr(d, "mean", None)  # of posterior draws
    return Parts(name, None, {} if mean is None else {SCORE: mean})
