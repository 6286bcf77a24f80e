"""The engine: requests in, decisions out, each one logged before it is given away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from policies.base import Policy
from serving.catalogue import Catalogue
from serving.contracts.decisions import Decision
from serving.contracts.fields import number
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.contracts.requests import Request
from serving.contracts.skimming import Opened
from serving.contracts.starts import Start
from serving.deciding import Batch, Decider
from serving.door import Door, taken_of
from serving.events.batches import append_each
from serving.events.log import EventLog, EventLogError
from serving.keeping import Keeper, key_of
from serving.keys import Keys
from serving.live import Serves, start_of
from serving.looking import Look, seen_of, typed_histories
from serving.offers import fallback_pool
from serving.retrieval import Retrieval
from serving.rows import Asked, Moment
from serving.sessions.memory import MemorySessions
from serving.sessions.store import SessionStore, Taken
from serving.shadowing.asking import compare, events_of
from serving.shadowing.waiting import Waiting


class Rest(NamedTuple):
    """Of an engine between two batches."""

    latest: int  # number of the last event of a decision or outcome; -1 = none since the start
    forgotten: int  # times that somebody was forgotten


class Engine(Serves):
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
        alone: by itself or in any batch, it gets the same slate for the same history.
    sha256: of the policy's files, which decisions carry.
    secret: at least 16 bytes that stay the same; users and sessions are kept under keyed hashes.
    events: where decisions and outcomes go. What it could not keep is answered by the fallback.
    sessions: histories and steps; in the memory of this process by default.
    retrieval: gives candidates where a request has none; not needed for a whole catalogue.
    fallback: items that may always be shown, for users whom the policy fails; the first items of
        the catalogue by default. The fallback draws uniformly, and logs the propensity of that.
    tables: log each candidate's probability to stand first, which the log doctor's calibration
        reads; without them an event is a third as long.
    remembered: the last decisions by this number are answered again to requests that are sent
        again, also where policy or history have changed; about 5 kB each.
    clock: seconds. timer: seconds by which the work of a batch is measured.

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
        sha256: str = "",
        remembered: int = 4_096,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(policy, retrieval, version=version, sha256=sha256, tables=tables)
        serving = policy.serving
        if len(catalogue) != serving.n_items:
            raise ValueError(
                f"the catalogue has {len(catalogue)} items and the policy's {serving.n_items}: "
                "numbers of items would not mean the same"
            )
        self.catalogue, self.events, self.clock, self.timer = catalogue, events, clock, timer
        self.sessions = MemorySessions() if sessions is None else sessions
        self._keeper = Keeper(events, remembered)
        self.counts: Counter[str] = self._keeper.counts
        self.failing: set[str] = self._keeper.failing  # parts that failed when they were last used
        self.keys = Keys(secret)
        self._lock = threading.Lock()
        self._forgotten = 0  # times that somebody was
        whole = serving.n_candidates is None
        self._door = Door(serving, catalogue, self.keys, whole or retrieval is not None)
        pool = fallback_pool(serving, catalogue, fallback)
        self._shadows = Waiting(self.counts)
        self._decider = Decider(
            serving, catalogue.names, self.keys, pool, self._keeper, self._shadows
        )

    @property
    def last_number(self) -> int:
        """Of the event of the last decision that the event log holds; -1 = none since the start."""
        return self._keeper.number

    def run_shadow(self, most: int = 16) -> int:
        """Ask the shadow about decisions that wait for it, `most` of one version at a time, and
        return how many; 0 where none waits. Nothing is drawn, and sessions do not change; what the
        shadow says or fails by is a ShadowEvent in the event log, and never in an answer."""
        with self._lock:
            shadow, forgotten = self.served.shadow, self._forgotten
            if shadow is None:
                self._shadows.clear()  # of one that is none any more
            asked = self._shadows.take(most)
        if shadow is None or asked is None:
            return 0
        compared, worked_ms = compare(shadow, asked)
        with self._lock:
            if forgotten == self._forgotten:  # else one of these users may be
                events = events_of(shadow, asked, compared, worked_ms, self.clock())
                self._keeper.keep_shadow(events)
        return len(asked)

    def announce(self, *, max_steps: int | None = None, names: bool = True) -> Start:
        """Put what is served into the event log, which then explains itself: when serving begins,
        and after each change of it.

        max_steps: after which sessions end by design. names: with the catalogue's item names, where
            the log takes an event so long.

        Raises EventLogError where it was not kept.
        """
        known, keyed_by = self.catalogue.names if names else None, self.keys.fingerprint
        with self._lock:
            start = start_of(self.served, self.serving, known, max_steps, keyed_by, self.clock())
            try:
                self.events.append(start.to_json())
            except EventLogError:
                if known is None:
                    raise
                start = replace(start, item_names=None)  # NATS takes 1 MB, some 50,000 names
                self.events.append(start.to_json())
        return start

    def look(
        self, requests: Sequence[Request], *, histories: Sequence[Sequence[str]] | None = None
    ) -> Look:
        """What the policy would see of requests, without any effect: nothing is drawn, logged or
        remembered, and no step is opened. It is the one of the users' arm, and the live one where
        the users are of two, or histories are given.

        histories: item names, oldest first, of each request, instead of those that are stored.

        Raises ContractError as `decide` does and for items of a history that the catalogue does not
        have, and what the session store or the retrieval raises.
        """
        admitted = [self._door.admit(request) for request in requests]
        arms = self.served.arms([one.visit.user for one in admitted])
        live = arms[0][0].live if arms and histories is None else self.served.live
        if histories is None:
            known = self.sessions.peek([one.visit.user for one in admitted])
        else:
            known = typed_histories(histories, self.catalogue, len(self.serving.response_names))
        obs = self._decider.observation(admitted, seen_of(admitted, known), live)
        answers = live.answers
        return Look(obs, answers.policy, answers.rules, self.catalogue.names, live.version)

    def recall(self, decision: Decision) -> None:
        """A decision of the event log is answered again when its request is sent again: for
        `replay`, after a restart."""
        self._keeper.retries.keep(key_of(decision), decision.to_json())

    def recall_event(self, opened: Opened, event: bytes) -> None:
        """The same for the event of a decision, of which only what sessions need was read."""
        self._keeper.retries.keep(key_of(opened), event)

    @contextmanager
    def at_rest(self) -> Iterator[Rest]:
        """Nothing is decided, kept or forgotten inside: what the session store knows is what the
        events up to this number say."""
        with self._lock:
            yield Rest(self._keeper.latest, self._forgotten)

    def forget(self, user: str) -> int:
        """Nothing more is known of a user but what the event log holds; returns whether anything
        was."""
        key = self.keys.user(user)
        with self._lock:
            self._forgotten += 1
            self._keeper.retries.forget(key)
            self._shadows.forget(key)
            return self.sessions.forget([key])

    def check(self, request: Request) -> None:
        """Raise ContractError, which names the field, for a request that `decide` would refuse."""
        self._door.admit(request)

    def decide(self, request: Request) -> Decision:
        """The slate for one request: a batch of one."""
        return self.decide_many([request])[0]

    def decide_many(
        self,
        requests: Sequence[Request],
        *,
        waited_ms: Sequence[float] = (),
        late: Sequence[bool] = (),
    ) -> list[Decision]:
        """A slate for each request, in their order; none where a history or rules leave no item.

        waited_ms: of each request before this call, for the log. late: requests that the fallback
        answers, which is quick.

        Raises ContractError for a request that is no good, before anything is decided, and
        ValueError where `waited_ms` or `late` are not one number for each request.
        """
        n = len(requests)
        with self._lock:  # the time, too: events stand in the log as their times do
            at = Moment(self.clock(), self.timer(), self.timer)
            admitted = [self._door.admit(request) for request in requests]
            waits = [number("waited_ms", ms) for ms in waited_ms] or [0.0] * n
            lates = late or [False] * n
            asked = [Asked(*one) for one in zip(admitted, waits, lates, strict=True)]
            return self._decider.answered(asked, Batch(self.served, self.sessions, at))

    def outcome(self, outcome: Outcome) -> None:
        """`outcomes` with one."""
        self.outcomes([outcome])

    def outcomes(self, outcomes: Sequence[Outcome]) -> list[OutcomeEvent]:
        """Keep what came of decisions, and return the events of it; then they are logged, and items
        taken are in the histories that later requests see.

        Raises ContractError for one that is no good, before any is kept, and EventLogError, or what
        the session store raises, where one could not be kept: send all of them again, what is known
        already counts once.
        """
        with self._lock:
            now = self.clock()
            events = [self._door.outcome(outcome, now) for outcome in outcomes]
            numbers = append_each(self.events, [event.to_json() for event in events])
            failures = [number for number in numbers if isinstance(number, Exception)]
            kept = [e for e, n in zip(events, numbers, strict=True) if isinstance(n, int)]
            ours = [number for number in numbers if isinstance(number, int)]
            self._keeper.latest = max([self._keeper.latest, *ours])
            self.counts["outcomes"] += len(kept)
            self._apply(taken_of(kept), now)
            if failures:
                raise failures[0]
        return events

    def _apply(self, taken: list[Taken], now: float) -> None:
        try:
            self.sessions.apply(taken, now)
        except Exception as error:
            self._keeper.alarm("sessions", error)
            raise
