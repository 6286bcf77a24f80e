"""What a shadow would have done with decisions that were shown, as probabilities: no draw."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy
from policies.observation import Observation, candidate_items, columns_of, offered
from policies.rules.constrained import left_by_rules
from policies.slates.distributions import SlateDistribution
from serving.answers import each, why
from serving.contracts.shadows import ShadowEvent
from serving.live import Live
from serving.shadowing.waiting import Together

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
CLOSE = 1e-6  # probabilities may be above 1 by rounding


class Compared(NamedTuple):
    """Of one decision."""

    propensity: float  # of the slate that was shown, under the shadow
    total_variation: float  # between the distributions of the first place


class First(NamedTuple):
    """Distributions of the first place: items (B, C), -1 = closed, and their probabilities."""

    items: I32
    chance: F64


def compare(shadow: Live, asked: Together) -> tuple[list[Compared | Exception], float]:
    """What the shadow says of each decision, or by what it fails, probabilities that are none too;
    and the milliseconds that it took."""
    began = time.perf_counter()
    found = each(lambda some: _compared(shadow, some), asked)
    return found, 1e3 * (time.perf_counter() - began)


def events_of(
    shadow: Live,
    asked: Together,
    compared: list[Compared | Exception],
    worked_ms: float,
    now: float,
) -> list[ShadowEvent]:
    """The same for the event log."""
    return [
        ShadowEvent(
            decision_id=one.decision_id,
            time=now,
            user=one.user,
            policy=shadow.version,
            policy_sha256=shadow.sha256,
            live_policy=one.live.version,
            live_propensity=one.answer.propensity,
            propensity=None if isinstance(made, Exception) else made.propensity,
            total_variation=None if isinstance(made, Exception) else made.total_variation,
            worked_ms=worked_ms,
            together=len(asked),
            error=why(made) if isinstance(made, Exception) else None,
        )
        for one, made in zip(asked.shown, compared, strict=True)
    ]


def _compared(shadow: Live, asked: Together) -> list[Compared]:
    """Raises what the policy raises, and ValueError for probabilities that are none."""
    policy, obs = shadow.answers.policy, shadow.answers.seen(asked.obs, asked.given)
    d = policy.distribution(obs)
    candidates = candidate_items(obs, policy.serving.n_items)
    there = (candidates[:, None, :] == asked.slate[:, :, None]).any(axis=2) | (asked.slate < 0)
    possible = there.all(axis=1)  # the shadow may retrieve other candidates
    propensity = np.zeros(len(asked))
    if possible.any():
        some = obs.rows(np.flatnonzero(possible))
        inner = d if possible.all() else policy.distribution(some)
        propensity[possible] = inner.prefix(columns_of(some, asked.slate[possible]))[:, -1]
    first = _first(d, obs, policy.serving.n_items)
    for name, chance in (("propensity", propensity), ("first-place probabilities", first.chance)):
        if not (np.isfinite(chance) & (chance >= 0) & (chance <= 1 + CLOSE)).all():
            raise ValueError(f"{name} of the shadow lie outside 0..1 or are no numbers")
    return [
        Compared(min(float(chance), 1.0), apart)
        for chance, apart in zip(propensity, _apart(first, _first_shown(asked)), strict=True)
    ]


def _first_shown(asked: Together) -> First:
    """As the live version drew it; computed again where the decisions do not carry it."""
    tables = [one.answer.candidate_propensity for one in asked.shown]
    offers = [one.answer.candidates for one in asked.shown]
    if all(t is not None for t in tables) and all(c is not None for c in offers):
        return First(np.stack(offers), np.stack(tables))  # type: ignore[arg-type]
    policy: Policy = asked.live.answers.policy
    obs = asked.live.answers.seen(asked.obs, asked.given)
    return _first(policy.distribution(obs), obs, policy.serving.n_items)


def _first(d: SlateDistribution, obs: Observation, n_items: int) -> First:
    left = left_by_rules(d, obs, n_items)
    items = offered(left)
    return First(candidate_items(left, n_items) if items is None else items, d.first_place())


def _apart(one: First, other: First) -> list[float]:
    """Half the sum of the differences, over the items of both."""
    if one.items.shape == other.items.shape and (one.items == other.items).all():
        return [float(x) for x in 0.5 * np.abs(one.chance - other.chance).sum(axis=1)]
    return [_of_row(*row) for row in zip(*one, *other, strict=True)]


def _of_row(items: I32, chance: F64, others: I32, other_chance: F64) -> float:
    ids = np.concatenate([items, others])
    signed = np.concatenate([chance, -other_chance])
    _, column = np.unique(ids[ids >= 0], return_inverse=True)
    return float(0.5 * np.abs(np.bincount(column, signed[ids >= 0])).sum())
