"""Traffic that changes: users whom nobody knows, and users who are no people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from experiments.faults.service.doors import Before
from experiments.live.users.messages import PAID
from serving import Outcome, Request

NEW = "newcomer of "


@dataclass(slots=True)
class Wave(Before):
    """A door through which, from `since` (s) on, a share of the sessions that begin comes under ids
    that the service has never seen: people who behave like all others, without a history.

    A visit is one of the wave or not by its user and session alone.
    """

    share: float
    seed: int
    new: dict[tuple[str, str], str] = field(default_factory=dict)  # by user and session
    decided: dict[str, str] = field(default_factory=dict)  # user of a decision of the wave, by id
    began: set[tuple[str, str]] = field(default_factory=set)

    def decide(self, requests: Sequence[Request]) -> Sequence[Any]:
        return self.door.decide([self._renamed(one) for one in requests])

    def report(self, outcomes: Sequence[Outcome]) -> None:
        self.door.report(
            [replace(o, user=self.decided.get(o.decision_id, o.user)) for o in outcomes]
        )

    def _renamed(self, one: Request) -> Request:
        visit = one.user, one.session
        if visit not in self.began:
            self.began.add(visit)
            if self.now >= self.since and drawn(self.seed, *visit) < self.share:
                self.new[visit] = f"{NEW}{one.user}, {one.session}"
        if visit not in self.new:
            return one
        self.decided[one.request_id] = self.new[visit]
        return replace(one, user=self.new[visit])


@dataclass(slots=True)
class Bots(Before):
    """A door through which, from `since` (s) on, `bots` accounts send a request whenever people do.
    They take what stands first, refuse nothing, respond always alike, and report `value` as what
    the first place was worth. A session of theirs has `steps` decisions.
    """

    bots: int
    value: float
    steps: int = 12
    asked: int = 0

    def decide(self, requests: Sequence[Request]) -> Sequence[Any]:
        if self.now < self.since or not requests:
            return self.door.decide(requests)
        nth, step = divmod(self.asked, self.steps)
        own = [
            replace(
                requests[bot % len(requests)],  # its offer and context are those of somebody there
                request_id=f"bot {bot}/{nth}/{step}",
                user=f"bot {bot}",
                session=f"visit {nth}",
                history=None,
            )
            for bot in range(self.bots)
        ]
        self.asked += 1
        answers = self.door.decide([*requests, *own])
        shown = zip(own, answers[len(requests) :], strict=True)
        self.door.report([o for one, answer in shown for o in self._outcomes(one, answer, step)])
        return answers[: len(requests)]

    def report(self, outcomes: Sequence[Outcome]) -> None:
        self.door.report(outcomes)

    def _outcomes(self, one: Request, answer: Any, step: int) -> list[Outcome]:
        if not answer.items:
            return []
        responses = dict.fromkeys(self.response_names, 1.0)
        told: list[dict[str, Any]] = [
            {"kind": "taken", "item": answer.items[0], "responses": responses},
            {"kind": PAID, "item": answer.items[0], "value": self.value},
        ]
        if step == self.steps - 1:
            told.append({"kind": "terminated"})
        return [
            Outcome(
                outcome_id=f"{one.request_id}/{o['kind']}",
                decision_id=one.request_id,
                user=one.user,
                **o,
            )
            for o in told
        ]


def drawn(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends on the seed and the words alone."""
    key = [seed, *"\0".join(words).encode()]
    return float(np.random.default_rng(np.random.SeedSequence(key)).random())
