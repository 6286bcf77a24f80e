"""One batch from requests to decisions: histories, offers, answers, and each one kept."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from policies.observation import Observation, Serving
from serving.answers import Answer, said
from serving.arms import CANARY
from serving.contracts.decisions import Decision
from serving.door import Admitted
from serving.keeping import Keeper
from serving.keys import Keys
from serving.live import FALLBACK, Arm, Live, Served
from serving.offers import (
    I32,
    Offer,
    blank,
    check_seen,
    given_of,
    observation_of_requests,
)
from serving.rows import Asked, Moment, decision_of
from serving.sessions.store import Seen, SessionStore
from serving.shadowing.waiting import Shown, Waiting

SHADOW = "\0shadow"  # no version's name: of the draw whether the shadow is asked
DEADLINE = "deadline"  # the reason of a fallback for a request that waited too long


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one batch is decided by: the versions, the session store, and the moment."""

    served: Served
    sessions: SessionStore
    at: Moment


class Part(NamedTuple):
    """Rows of a batch that one arm serves."""

    arm: Arm
    rows: Sequence[int]
    offer: Offer  # of these rows


class Row(NamedTuple):
    """One answer: of row b of a part."""

    part: Part
    b: int
    answer: Answer


@dataclass(frozen=True, slots=True, eq=False)
class Decider:
    """Requests of these sizes and names become decisions that `keeper` holds."""

    serving: Serving
    names: tuple[str, ...]  # (A,)
    keys: Keys
    pool: I32  # (C,) what the fallback draws from where a request gives no candidates
    keeper: Keeper
    shadows: Waiting  # decisions that the shadow is asked about

    def answered(self, asked: Sequence[Asked], batch: Batch) -> list[Decision]:
        """Requests that were answered before, or that a batch holds twice, are answered alike."""
        visits = [one.admitted.visit for one in asked]
        known = [self.keeper.retries.of(visit) for visit in visits]
        new: dict[tuple[str, str, str], Asked] = {}
        for visit, one, before in zip(visits, asked, known, strict=True):
            if before is None:
                new.setdefault(visit[:3], one)
        decided = dict(zip(new, self._decided([*new.values()], batch) if new else [], strict=True))
        return [
            decided[visit[:3]]
            if new.get(visit[:3]) is one
            else self._again(before or decided[visit[:3]], one, batch.at)
            for visit, one, before in zip(visits, asked, known, strict=True)
        ]

    def observation(
        self, admitted: Sequence[Admitted], seen: Sequence[Seen], live: Live
    ) -> Observation:
        """What the policy sees of requests."""
        check_seen(seen, len(admitted), len(self.serving.response_names))
        obs = observation_of_requests(self.serving, self.pool, admitted, seen)
        return live.answers.seen(obs, given_of(admitted))

    def _again(self, before: Decision, one: Asked, at: Moment) -> Decision:
        """What was answered before; the log holds it twice, unless it fails now."""
        worked_ms = at.worked_ms()
        decision = replace(before, time=at.now, waited_ms=one.waited_ms, worked_ms=worked_ms)
        failed = self.keeper.keep(decision, one.admitted.visit)
        self.keeper.count(decision, logged=failed is None)
        self.keeper.counts["retries"] += 1
        return decision

    def _decided(self, asked: Sequence[Asked], batch: Batch) -> list[Decision]:
        admitted = [one.admitted for one in asked]
        seen, failed = self._opened(admitted, batch)
        why_not = [failed or (DEADLINE if one.late else None) for one in asked]
        rows = self._answered(self._parts(admitted, seen, batch.served), why_not)
        made = [self._decision(*one, batch.at) for one in zip(rows, asked, seen, strict=True)]
        visits = [one.visit for one in admitted]
        unkept = self.keeper.keep_many([*zip(made, visits, strict=True)])
        for i, (failed, row) in enumerate(zip(unkept, rows, strict=True)):
            if failed is not None and made[i].fallback is None:
                own = row.part.offer.rows(slice(row.b, row.b + 1))
                answer = row.part.arm.live.answers.of_fallback(own, [failed])[0]
                row = row._replace(answer=answer)
                made[i] = self._decision(row, asked[i], seen[i], batch.at)
            self.keeper.count(made[i], logged=failed is None)
        if batch.served.shadow is not None:
            self._shadow(rows, made, unkept, batch.served.share)
        return made

    def _answered(self, parts: Sequence[Part], why_not: Sequence[str | None]) -> list[Row]:
        """What each arm answers to its users, in the order of the batch."""
        rows: dict[int, Row] = {}
        for part in parts:
            answers = part.arm.live.answers.of(part.offer, [why_not[i] for i in part.rows])
            every = zip(part.rows, answers, strict=True)
            rows |= {i: Row(part, b, answer) for b, (i, answer) in enumerate(every)}
        return [rows[i] for i in range(len(why_not))]

    def _shadow(
        self, rows: list[Row], made: list[Decision], unkept: list[str | None], share: float
    ) -> None:
        """Let a share of the live version's decisions wait for the shadow."""
        own = [
            i
            for i, row in enumerate(rows)
            if row.part.arm.name != CANARY and unkept[i] is None and made[i].fallback is None
        ]
        drawn = self.keys.draws(SHADOW, [made[i].decision_id for i in own]) * 2.0**-64
        picked = [(rows[i], made[i]) for i, u in zip(own, drawn.tolist(), strict=True) if u < share]
        self.shadows.add([_shown(row, decision) for row, decision in picked])

    def _opened(self, admitted: list[Admitted], batch: Batch) -> tuple[list[Seen], str | None]:
        """What the store knows, or why it could not say: then nobody has a history."""
        responses = len(self.serving.response_names)
        try:
            seen = batch.sessions.open([one.visit for one in admitted], batch.at.now)
            check_seen(seen, len(admitted), responses)
        except Exception as error:  # noqa: BLE001  (users are served whatever fails)
            self.keeper.alarm("sessions", error)
            return blank(admitted, responses), said("sessions", error)
        self.keeper.alarm("sessions", None)
        return seen, None

    def _parts(self, admitted: list[Admitted], seen: list[Seen], served: Served) -> list[Part]:
        """The batch by arms; histories are of all."""
        obs, given = (
            observation_of_requests(self.serving, self.pool, admitted, seen),
            given_of(admitted),
        )
        visits = [one.visit for one in admitted]
        parts = []
        for arm, rows in served.arms([visit.user for visit in visits]):
            index = slice(None) if len(rows) == len(visits) else np.array(rows, np.int64)
            ids = [visits[i].request_id for i in rows]
            keys, fallback_keys = (
                self.keys.draws(arm.live.version, ids),
                self.keys.draws(FALLBACK, ids),
            )
            offer = Offer(obs.rows(index), given[index], keys, fallback_keys)
            parts.append(Part(arm, rows, offer))
        return parts

    def _decision(self, row: Row, asked: Asked, seen: Seen, at: Moment) -> Decision:
        obs, b = row.part.offer.obs, row.b
        history = obs.history_items[b], obs.history_responses[b]
        return decision_of(asked, seen, history, row.answer, row.part.arm, self.names, at)


def _shown(row: Row, decision: Decision) -> Shown:
    """What is remembered for the shadow: no part of the batch's arrays."""
    offer, own = row.part.offer, np.array([row.b])
    obs, given = offer.obs.rows(own), bool(offer.given[row.b])
    answer, live = deepcopy(row.answer), row.part.arm.live
    return Shown(decision.decision_id, decision.user, answer, obs, given, live)
