"""One batch from requests to decisions: histories, offers, answers, and each one kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies.observation import Observation, Serving
from serving.answers import Answer, said
from serving.contracts.decisions import Decision
from serving.door import Admitted
from serving.keeping import Keeper
from serving.keys import Keys
from serving.live import FALLBACK, Live
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

DEADLINE = "deadline"  # the reason of a fallback for a request that waited too long


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one batch is decided by: the version, the session store, and the moment."""

    live: Live
    sessions: SessionStore
    at: Moment


@dataclass(frozen=True, slots=True, eq=False)
class Decider:
    """Requests of these sizes and names become decisions that `keeper` holds."""

    serving: Serving
    names: tuple[str, ...]  # (A,)
    keys: Keys
    pool: I32  # (C,) what the fallback draws from where a request gives no candidates
    keeper: Keeper

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
        live, admitted = batch.live, [one.admitted for one in asked]
        seen, failed = self._opened(admitted, batch)
        offer = self._offer(live, admitted, seen)
        why_not = [failed or (DEADLINE if one.late else None) for one in asked]
        answers = live.answers.of(offer, why_not)
        rows = [*zip(asked, seen, answers, strict=True)]
        made = [self._decision(offer, b, *row, batch) for b, row in enumerate(rows)]
        visits = [one.visit for one in admitted]
        unkept = self.keeper.keep_many([*zip(made, visits, strict=True)])
        for b, (failed, (one, known, _)) in enumerate(zip(unkept, rows, strict=True)):
            if failed is not None and made[b].fallback is None:
                answer = live.answers.of_fallback(offer.rows(slice(b, b + 1)), [failed])[0]
                made[b] = self._decision(offer, b, one, known, answer, batch)
            self.keeper.count(made[b], logged=failed is None)
        return made

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

    def _offer(self, live: Live, admitted: list[Admitted], seen: list[Seen]) -> Offer:
        request_ids = [one.visit.request_id for one in admitted]
        return Offer(
            observation_of_requests(self.serving, self.pool, admitted, seen),
            given_of(admitted),
            self.keys.draws(live.version, request_ids),
            self.keys.draws(FALLBACK, request_ids),
        )

    def _decision(
        self, offer: Offer, b: int, asked: Asked, seen: Seen, answer: Answer, batch: Batch
    ) -> Decision:
        """On row b."""
        history = offer.obs.history_items[b], offer.obs.history_responses[b]
        return decision_of(asked, seen, history, answer, batch.live, self.names, batch.at)
