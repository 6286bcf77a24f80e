"""The engine: requests in, decisions out, each one logged before it is given away."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from policies.base import Policy
from serving.answers import Answer, Answers, said
from serving.catalogue import Catalogue
from serving.contracts.decisions import Decision
from serving.contracts.fields import text
from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.door import Admitted, Door, taken_of
from serving.events.log import EventLog
from serving.hashes import history_hash, rules_hash
from serving.keys import Keys
from serving.offers import Offer, check_seen, fallback_pool, observation_of_requests
from serving.retrieval import Retrieval
from serving.sessions.memory import MemorySessions
from serving.sessions.store import Seen, SessionStore, Taken

logger = logging.getLogger("serving")
FALLBACK = "fallback"  # the policy that a decision of the fallback names


class _Time(NamedTuple):
    now: float  # s of the clock
    started: float  # s of the performance counter


class Engine:
    """Serves a policy; `policies.constrained` puts it under rules, which the fallback keeps too.

        policy, catalogue = load("saved/softmax"), Catalogue.from_file("items.txt")
        events = SegmentLog("events")
        engine = Engine(policy, catalogue, version="v1", secret=secret, events=events)
        decision = engine.decide(Request(request_id="r1", user="ann", session="s1"))
        engine.outcome(Outcome(outcome_id="o1", decision_id="r1", user="ann", kind="liked"))

    and, to judge the policy by what came of its decisions, with JoinRule and Shape:

        shape = Shape.of(policy.serving, catalogue)
        join_log(events, "log", JoinRule(reward={"liked": 1.0}), shape)

    catalogue: the caller's names of the policy's items, in their order.
    version: of the policy; the log's rows carry it. A request is drawn by its id and the version
        alone: sent again, by itself or in any batch, it gets the same slate for the same history.
    secret: at least 16 bytes that stay the same; users and sessions are kept under keyed hashes.
    events: where decisions and outcomes go. What it could not keep is answered by the fallback.
    sessions: histories and steps; in the memory of this process by default.
    retrieval: gives candidates where a request has none; not needed for a whole catalogue.
    fallback: items that may always be shown, for users whom the policy fails; the first items of
        the catalogue by default. The fallback draws uniformly, and logs the propensity of that.
    tables: log each candidate's probability to stand first, which the log doctor's calibration
        reads; without them an event is a third as long.
    clock: seconds.

    Raises ValueError where catalogue, fallback and policy do not fit. Threads wait for each other.
    """

    def __init__(
        self,
        policy: Policy,
        catalogue: Catalogue,
        *,
        version: str,
        secret: bytes,
        events: EventLog,
        sessions: SessionStore | None = None,
        retrieval: Retrieval | None = None,
        fallback: Sequence[str] = (),
        tables: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        serving = policy.serving
        if len(catalogue) != serving.n_items:
            raise ValueError(
                f"the catalogue has {len(catalogue)} items and the policy's {serving.n_items}: "
                "numbers of items would not mean the same"
            )
        if text("version", version) == FALLBACK:
            raise ValueError(f"version {FALLBACK!r} is what the fallback's decisions name")
        self.serving, self.catalogue, self.version = serving, catalogue, version
        self.events, self.clock = events, clock
        self.sessions = MemorySessions() if sessions is None else sessions
        self.counts: Counter[str] = Counter()
        self.failing = set[str]()  # parts that failed when they were last used
        self._lock = threading.Lock()
        self._keys = Keys(secret)
        whole = serving.n_candidates is None
        self._door = Door(serving, catalogue, self._keys, whole or retrieval is not None)
        self._answers = Answers(policy, retrieval, tables=tables)
        self._rules = rules_hash(self._answers.rules)
        self._pool = fallback_pool(serving, catalogue, fallback)

    def check(self, request: Request) -> None:
        """Raise ContractError, which names the field, for a request that `decide` would refuse."""
        self._door.admit(request)

    def decide(self, request: Request) -> Decision:
        """The slate for one request: a batch of one."""
        return self.decide_many([request])[0]

    def decide_many(self, requests: Sequence[Request]) -> list[Decision]:
        """A slate for each request, in their order; none where a history or rules leave no item.

        Raises ContractError for a request that is no good, before anything is decided.
        """
        with self._lock:  # the time, too: events stand in the log as their times do
            at = _Time(self.clock(), time.perf_counter())
            admitted = [self._door.admit(request) for request in requests]
            return self._decided(admitted, at) if admitted else []

    def _decided(self, admitted: list[Admitted], at: _Time) -> list[Decision]:
        seen, failed = self._opened(admitted, at.now)
        offer = self._offer(admitted, seen)
        if failed is None:
            answers = self._answers.of_policy(offer)
        else:
            answers = self._answers.of_fallback(offer, [failed] * len(offer))
        rows = zip(admitted, seen, answers, strict=True)
        return [self._kept(offer.rows(slice(b, b + 1)), *row, at) for b, row in enumerate(rows)]

    def outcome(self, outcome: Outcome) -> None:
        """`outcomes` with one."""
        self.outcomes([outcome])

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what came of decisions; on return it is logged, and items taken are in the histories
        that later requests see.

        Raises ContractError for one that is no good, before any is kept, and EventLogError, or what
        the session store raises, where one could not be kept: send all of them again, what is known
        already counts once.
        """
        with self._lock:
            now, kept = self.clock(), 0
            events = [self._door.outcome(outcome, now) for outcome in outcomes]
            try:
                for event in events:
                    self.events.append(event.to_json())
                    kept += 1
            finally:
                self.counts["outcomes"] += kept
                self._apply(taken_of(events[:kept]), now)

    def _opened(self, admitted: list[Admitted], now: float) -> tuple[list[Seen], str | None]:
        """What the store knows, or why it could not say: then nobody has a history."""
        try:
            seen = self.sessions.open([one.visit for one in admitted], now)
            check_seen(seen, len(admitted), len(self.serving.response_names))
        except Exception as error:  # noqa: BLE001  (users are served whatever fails)
            self._alarm("sessions", error)
            responses = np.zeros((0, len(self.serving.response_names)), np.float32)
            none = np.zeros(0, np.int32)
            blank = [Seen(none, responses, 0, None, -1, one.visit.request_id) for one in admitted]
            return blank, said("sessions", error)
        self._alarm("sessions", None)
        return seen, None

    def _apply(self, taken: list[Taken], now: float) -> None:
        try:
            self.sessions.apply(taken, now)
        except Exception as error:
            self._alarm("sessions", error)
            raise

    def _offer(self, admitted: list[Admitted], seen: list[Seen]) -> Offer:
        request_ids = [one.visit.request_id for one in admitted]
        return Offer(
            observation_of_requests(self.serving, self._pool, admitted, seen),
            np.array([one.candidates is not None for one in admitted]),
            self._keys.draws(self.version, request_ids),
            self._keys.draws(FALLBACK, request_ids),
        )

    def _kept(self, offer: Offer, one: Admitted, seen: Seen, answer: Answer, at: _Time) -> Decision:
        """The decision on one row, once it is in the event log; the fallback's where it is not."""
        decision = self._decision(offer, one, seen, answer, at)
        failed = self._append(decision)
        if failed is not None and decision.fallback is None:
            answer = self._answers.of_fallback(offer, [failed])[0]
            decision = self._decision(offer, one, seen, answer, at)
        self.counts.update(
            decisions=1,
            fallbacks=int(decision.fallback is not None),
            unlogged=int(failed is not None),
            unknown_items=one.unknown_items,
        )
        return decision

    def _append(self, decision: Decision) -> str | None:
        """Why the event log does not hold the decision; None where it does."""
        if decision.step < 0:
            return "the step is not known"
        try:
            self.events.append(decision.to_json())
        except Exception as error:  # noqa: BLE001  (users are served whatever fails)
            self._alarm("event log", error)
            return said("event log", error)
        self._alarm("event log", None)
        return None

    def _alarm(self, part: str, error: Exception | None) -> None:
        """Log the first failure of several in a row, and the end of them."""
        if error is not None and part not in self.failing:
            self.failing.add(part)
            logger.error("%s failed; the fallback is served until it is back", part, exc_info=error)
        elif error is None and part in self.failing:
            self.failing.remove(part)
            logger.warning("%s is back", part)

    def _decision(
        self, offer: Offer, one: Admitted, seen: Seen, answer: Answer, at: _Time
    ) -> Decision:
        items, responses = offer.obs.history_items[0], offer.obs.history_responses[0]
        first = items >= 0 if seen.step == 0 else np.zeros(len(items), np.bool_)
        names, table = self.catalogue.names, answer.candidate_propensity
        return Decision(
            decision_id=one.visit.request_id,
            time=at.now,
            user=one.visit.user,
            session=one.visit.session,
            began=seen.began,
            step=seen.step,
            slate=tuple(answer.slate.tolist()),
            items=tuple(names[i] for i in answer.slate.tolist() if i >= 0),
            propensity=answer.propensity,
            position_propensity=tuple(answer.position_propensity.tolist()),
            candidates=None if answer.candidates is None else tuple(answer.candidates.tolist()),
            candidate_propensity=None if table is None else tuple(table.tolist()),
            context=one.context,
            policy=self.version if answer.fallback is None else FALLBACK,
            rules=self._rules,
            history_version=seen.version,
            history_hash=history_hash(items, responses),
            history_age=None if seen.updated is None else max(0.0, at.now - seen.updated),
            prior_items=tuple(items[first].tolist()),
            prior_responses=tuple(map(tuple, responses[first].tolist())),
            unknown_items=one.unknown_items,
            fallback=answer.fallback,
            worked_ms=1e3 * (time.perf_counter() - at.started),
        )
