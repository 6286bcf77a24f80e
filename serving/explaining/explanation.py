"""What an explanation holds: frozen records, as JSON for programs and as text for people."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from serving.explaining.text import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One of the distributions that slates are drawn from, most often the policy's own and the
    uniform one of its exploration."""

    name: str
    weight: float  # chance that a slate is drawn from it; weights sum to 1
    form: str  # softmax (drawn by it), best (the largest scores, surely), draws (the best of one of
    # several posterior draws; the score is their mean) or other
    temperature: float | None  # that scores were divided by; None = none was
    parts: tuple[str, ...]  # what its logits are made of; none = all candidates alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Why an item could not be shown."""

    rule: str
    kind: str  # banned, repeats, cap, quota, or the rule's class
    place: int | None  # from which place of the slate on, from 1; None = at none, for this user
    why: str  # in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An item on offer. `parts`, `logits` and `chances` go by component, in their order."""

    item: str
    place: int | None  # in the slate, from 1
    parts: tuple[dict[str, float | None], ...]  # None = not finite
    logits: tuple[float | None, ...]  # sum of the parts
    chances: tuple[float, ...]  # to stand first
    propensity: float  # to stand first: the chances by the components' weights
    closed: Closed | None  # None = it could be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place of the slate."""

    place: int  # from 1
    item: str
    propensity: float  # given the places above
    adjustment: float  # what re-ranking adds to the item's logit at this place


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEffect:
    """What a rule did."""

    name: str
    kind: str
    closed: int  # candidates that it closed for this user
    places: int  # places at which it closed candidates that were left, or kept them for its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a past item does to an item of the slate: with it, minus without it."""

    item: str
    score: float | None  # of the logit, relative to the mean of what may be shown
    propensity: float  # of the chance to stand first


@dataclass(frozen=True, slots=True, kw_only=True)
class PastItem:
    """What an item of the history does to the slate."""

    item: str
    ago: int  # 1 = the last one taken
    moved: float  # mean size of the score differences
    slate_propensity: float  # of the whole slate: with it, minus without it
    items: tuple[Moved, ...]  # of the slate, by place


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a slate was shown, or would be."""

    about: str  # decision, user or history
    decision_id: str | None
    time: float | None  # s, of the decision
    policy: str  # version
    history: tuple[str, ...]  # oldest first
    slate: tuple[Place, ...]  # as it was shown; or the ranking, where nothing was drawn
    propensity: float  # of the whole ordered slate
    logged_propensity: float | None  # of a decision
    components: tuple[Component, ...]
    rules: tuple[RuleEffect, ...]
    candidates: tuple[Candidate, ...]  # slate first, then by propensity, then what was closed
    influence: tuple[PastItem, ...] | None  # what moved most first; None = cannot be told
    fallback: str | None  # why the decision was the fallback's
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return asdict(self) | {"type": "explanation"}

    def text(self, *, top: int = 10) -> str:
        """For a person, the `top` candidates, past items and items left out of each table."""
        return text_of(self.to_json(), top)


def finite(value: float) -> float | None:
    """The number, or None for what JSON cannot hold."""
    return float(value) + 0.0 if math.isfinite(value) else None  # no -0.0
