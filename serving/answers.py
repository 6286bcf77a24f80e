"""What a policy answers to B users, and what is answered where it cannot: always within the rules.

Each row depends on itself alone: where a policy fails for one user, it still serves the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.checks import repeats
from offpolicy.log.dataset import LoggedDataset
from policies.base import Policy, act
from policies.observation import Observation, Serving, candidate_items, eligible, offered
from policies.rules.constrained import Constrained, left_by_rules
from policies.rules.constraints import Rule
from policies.slates.row_streams import RowStreams
from policies.slates.uniform import UniformSlates
from serving.drawn import check_drawn
from serving.offers import Offer
from serving.retrieval import Retrieval

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]
T = TypeVar("T")
R = TypeVar("R", bound="Rows")

logger = logging.getLogger("serving")


class Rows(Protocol):
    """What is known of B users."""

    def __len__(self) -> int: ...

    def rows(self, index: slice, /) -> Self:
        """The same for some of the users."""


class Answer(NamedTuple):
    """One user's slate."""

    slate: I32  # (K,) items
    propensity: float
    position_propensity: F64  # (K,)
    candidates: I32 | None  # (C,) -1 = empty or closed; None = the whole catalogue
    candidate_propensity: F64 | None  # (C,) to stand first
    fallback: str | None = None  # why it is not the policy's


@dataclass(frozen=True, slots=True)
class Fallback:
    """Every candidate alike, as a policy."""

    serving: Serving

    def distribution(self, obs: Observation) -> UniformSlates:
        shape = candidate_items(obs, self.serving.n_items).shape
        logits = np.zeros(shape)
        if obs.eligible is not None:
            logits[~obs.eligible] = -np.inf
        return UniformSlates(logits, self.serving.slate_size)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}


class Answers:
    """A policy, and the uniform fallback under the same rules."""

    def __init__(self, policy: Policy, retrieval: Retrieval | None, *, tables: bool) -> None:
        self.policy, self.retrieval, self.tables = policy, retrieval, tables
        self.rules = rules_of(policy)
        plain = Fallback(policy.serving)
        self.fallback: Policy = Constrained(plain, self.rules) if self.rules else plain
        self._reported: set[tuple[str, int]] = set()

    def of(self, offer: Offer, why_not: Sequence[str | None]) -> list[Answer]:
        """The policy's slates, and the fallback's where there is a reason why not the policy's."""
        if not any(why_not):
            return self.of_policy(offer)
        lost = np.array([reason is not None for reason in why_not])
        instead = iter(self.of_fallback(offer.rows(np.flatnonzero(lost)), [*filter(None, why_not)]))
        drawn = iter(self.of_policy(offer.rows(np.flatnonzero(~lost))))
        return [next(drawn if reason is None else instead) for reason in why_not]

    def of_policy(self, offer: Offer) -> list[Answer]:
        """The policy's slates, and the fallback's for users whom it fails."""
        tried = each(
            lambda some: self._drawn(self.policy, self.seen(some.obs, some.given), some.keys), offer
        )
        errors = {row: one for row, one in enumerate(tried) if isinstance(one, Exception)}
        for error in errors.values():
            self._report("the policy failed; the fallback is served", error)
        lost = np.array([*errors], np.int64)
        instead = iter(self.of_fallback(offer.rows(lost), [*map(why, errors.values())]))
        return [next(instead) if isinstance(one, Exception) else one for one in tried]

    def of_fallback(self, offer: Offer, reasons: Sequence[str]) -> list[Answer]:
        """Uniform slates of the request's candidates, or of the pool; empty where that fails."""
        tried = each(lambda some: self._drawn(self.fallback, some.obs, some.fallback_keys), offer)
        answers = []
        for one, reason in zip(tried, reasons, strict=True):
            if isinstance(one, Exception):
                self._report("the fallback failed; nothing is shown", one)
            shown = self._nothing() if isinstance(one, Exception) else one
            answers.append(Answer(*shown[:-1], reason))
        return answers

    def _drawn(self, policy: Policy, obs: Observation, keys: U64) -> list[Answer]:
        """The draw itself; raises what the policy, its distribution or its rules raise, and
        ValueError for what no log could hold."""
        obs = _plain(obs)
        chosen = act(policy, obs, RowStreams(keys))
        left = left_by_rules(chosen.distribution, obs, policy.serving.n_items)
        candidates = offered(left)
        table = chosen.first_place if self.tables and candidates is not None else None
        check_drawn(chosen, policy.serving, candidates, table)
        none = [None] * len(obs)
        return [
            *map(
                Answer, chosen.slate, chosen.propensity.tolist(), chosen.position_propensity,
                none if candidates is None else candidates, none if table is None else table,
            )
        ]  # fmt: skip

    def seen(self, obs: Observation, given: Bool) -> Observation:
        """What the policy sees of users, with candidates retrieved where none were given (B,)."""
        return _plain(self._retrieved(obs, ~given))

    def _retrieved(self, obs: Observation, free: Bool) -> Observation:
        if not free.any():
            return obs
        if obs.candidates is None:  # the whole catalogue, not the pool
            assert obs.eligible is not None
            return obs.with_eligible(obs.eligible | free[:, None])
        assert self.retrieval is not None
        found = self.retrieval(obs.history_items[free])
        if found.shape[0] != free.sum() or found.shape[1] > obs.candidates.shape[1]:
            raise ValueError(f"candidates of shape {found.shape} were retrieved for {free.sum()}")
        if repeats(found).any():
            raise ValueError("a candidate was retrieved twice for one user")
        candidates = obs.candidates.copy()
        candidates[free] = -1
        candidates[free, : found.shape[1]] = found
        return replace(obs, candidates=candidates, eligible=eligible(None, candidates))

    def _report(self, what: str, error: Exception) -> None:
        """Log an error with its traceback, once for the place where it was raised: decisions carry
        it each time."""
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        place = what + type(error).__name__, 0 if at is None else at.tb_lineno
        if place not in self._reported:
            self._reported.add(place)
            logger.error(what, exc_info=error)

    def _nothing(self) -> Answer:
        places = self.policy.serving.slate_size
        width = self.policy.serving.columns
        return Answer(
            np.full(places, -1, np.int32), 1.0, np.ones(places),
            np.full(width, -1, np.int32), np.zeros(width) if self.tables else None,
        )  # fmt: skip


def _plain(obs: Observation) -> Observation:
    """The same, without a mask that lets everything through."""
    if obs.eligible is not None and bool(obs.eligible.all()):
        return replace(obs, eligible=None)
    return obs


def rules_of(policy: Any) -> tuple[Rule, ...]:
    """The rules that a policy is under, the outermost first, whatever stands around them."""
    rules: tuple[Rule, ...] = ()
    while policy is not None:
        rules += policy.rules if isinstance(policy, Constrained) else ()
        policy = getattr(policy, "policy", None)
    return rules


def each(draw: Callable[[R], list[T]], batch: R) -> list[T | Exception]:
    """What is made of each row, or why nothing could be: halves of a batch that fails are tried
    again, down to single rows."""
    if not len(batch):
        return []
    try:
        return [*draw(batch)]
    except Exception as error:  # noqa: BLE001  (it is returned)
        failed = error
    if len(batch) == 1:
        return [failed]
    half = len(batch) // 2
    return each(draw, batch.rows(slice(half))) + each(draw, batch.rows(slice(half, None)))


def said(what: str, error: Exception) -> str:
    """The reason that a decision carries: text that an event can hold, whatever the error says."""
    return f"{what}: {error}"[:200].encode(errors="backslashreplace").decode()[:200]


def why(error: Exception) -> str:
    """The same of what went wrong in a policy."""
    return said(type(error).__name__, error)
