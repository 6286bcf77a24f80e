"""A caller's side of /decide with a cache: repeats are exposures of the same decision, and where
the server fails, users see a stale answer for a while, or the caller's own fallback."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from policies.validation import COUNT, FROM_0, POSITIVE
from serving.contracts.fields import many, number, parse_json, text
from serving.contracts.outcomes import SHOWN, Outcome
from serving.contracts.requests import Request
from serving.edge.entries import Entries, Entry, question_of

Call = Callable[[str, bytes], bytes]  # POST (path, body) -> body; OSError for a failure
Source = Literal["fresh", "repeat", "stale", "fallback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRule:
    """Bounds of a cache. Raises ValueError for a number that is out of bounds."""

    users: int = 10_000  # whose answers are held: those seen last
    stale_s: float = 60.0  # after its validity an answer is shown where the server fails
    retry_s: float = 1.0  # after a failure the server is not asked again for the user
    wait_s: float = 1.0  # that a request waits for another one of its user
    report: int = 50  # repeats that are reported at once
    unsent: int = 10_000  # repeats that are held while they cannot be reported; older ones go

    def __post_init__(self) -> None:
        COUNT.check_all(self, "users", "report", "unsent")
        FROM_0.check_all(self, "stale_s", "retry_s")
        POSITIVE.check("wait_s", self.wait_s)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a user sees."""

    items: tuple[str, ...]
    source: Source
    decision_id: str | None  # that outcomes name; None for the caller's fallback: nothing was
    # decided, and nothing can be learnt from it


class EdgeCache:
    """Asks the server through `call`, once at a time for a user, and shows valid answers again.

    call: posts a body to a path and returns the answer's body; OSError (TimeoutError, HTTPError
        of urllib ...) where that fails. fallback: the caller's slate where there is no other.
    clock: seconds, as time.monotonic; where it goes back, what was answered after is not shown.

    counts: fresh, repeats, stale and fallbacks are the slates shown, by where they came from;
        errors of the server, timeouts of waiting, invalidated and evicted answers, and
        unreported and refused repeats, which were dropped. Threads may share it.
    """

    def __init__(
        self,
        call: Call,
        fallback: Callable[[Request], Sequence[str]],
        *,
        clock: Callable[[], float],
        rule: EdgeRule | None = None,
    ) -> None:
        self.rule, self.counts = rule or EdgeRule(), Counter[str]()
        self._call, self._fallback, self._clock = call, fallback, clock
        self._entries = Entries(self.rule.users)
        self._asking: dict[str, threading.Event] = {}  # users whose answer is under way
        self._outdated: set[str] = set()  # of these, those of whom an outcome came meanwhile
        self._failed = Entries(self.rule.users)  # until when users are not asked for
        self._repeats: list[Outcome] = []
        self._lock = threading.Lock()

    def slate(self, request: Request) -> Shown:
        """What the user sees now. Raises what `call` raises but OSError, so that a request that is
        refused is not taken for a server that fails, and ValueError for an answer that is none."""
        question = question_of(request)
        while True:
            with self._lock:
                now = self._clock()
                found = self._entries.find(request.user, question)
                if found is not None and found.valid(now):
                    return self._again(request, found, "repeat")
                failed = self._failed.held.get(request.user)
                if failed is not None and failed.valid(now):
                    return self._without(request, found, now)
                other = self._asking.get(request.user)
                if other is None:
                    mine = self._asking[request.user] = threading.Event()
            if other is None:
                break
            if not other.wait(self.rule.wait_s):
                with self._lock:
                    self.counts["timeouts"] += 1
                    return self._without(request, found, self._clock())
        try:
            return self._asked(request, question, now)
        finally:
            with self._lock:
                del self._asking[request.user]
                self._outdated.discard(request.user)
            mine.set()

    def outcome(self, outcome: Outcome) -> None:
        """Report what came of a decision; answers to its user are not shown again.

        Raises OSError where it could not be reported: send it again.
        """
        with self._lock:
            self.counts["invalidated"] += self._entries.drop(outcome.user)
            if outcome.user in self._asking:
                self._outdated.add(outcome.user)
        self._call("/outcome", outcome.to_json())

    def flush(self) -> int:
        """Report the repeats that were not yet; how many they were. They are kept where the server
        fails, and dropped and counted where it refuses them."""
        with self._lock:
            due, self._repeats = self._repeats, []
        sent = 0
        try:
            while sent < len(due):
                part = due[sent : sent + self.rule.report]
                body = json.dumps([json.loads(one.to_json()) for one in part]).encode()
                try:
                    self._call("/outcome", body)
                except ValueError:  # it would be refused again; what users see goes on
                    with self._lock:
                        self.counts["refused"] += len(part)
                sent += len(part)
        except OSError:
            with self._lock:
                self.counts["errors"] += 1
        finally:
            with self._lock:
                left = due[sent:] + self._repeats
                self.counts["unreported"] += max(len(left) - self.rule.unsent, 0)
                self._repeats = left[-self.rule.unsent :]
        return sent

    def _asked(self, request: Request, question: str, began: float) -> Shown:
        """The server's answer, or what there is without it."""
        try:
            body = self._call("/decide", request.to_json())
        except OSError:
            with self._lock:
                now = self._clock()
                self.counts["errors"] += 1
                retry = now + self.rule.retry_s
                self._failed.keep(request.user, Entry("", "", (), now, retry, retry))
                return self._without(request, self._entries.find(request.user, question), now)
        decision_id, items, valid = _read(body)
        with self._lock:
            self._failed.drop(request.user)
            self.counts["fresh"] += 1
            if valid > 0 and request.user not in self._outdated:
                until = began + valid  # the answer is no younger than the question
                entry = Entry(question, decision_id, items, began, until, until + self.rule.stale_s)
                before = self._entries.evicted
                self._entries.keep(request.user, entry)
                self.counts["evicted"] += self._entries.evicted - before
        if len(self._repeats) >= self.rule.report:
            self.flush()
        return Shown(items, "fresh", decision_id)

    def _again(self, request: Request, entry: Entry, source: Source) -> Shown:
        entry.shown += 1
        self.counts["repeats" if source == "repeat" else "stale"] += 1
        self._repeats.append(
            Outcome(
                outcome_id=f"{entry.decision_id[:200]}/{SHOWN}/{entry.shown}",
                decision_id=entry.decision_id,
                user=request.user,
                kind=SHOWN,
            )
        )
        if len(self._repeats) > self.rule.unsent:
            del self._repeats[0]
            self.counts["unreported"] += 1
        return Shown(entry.items, source, entry.decision_id)

    def _without(self, request: Request, found: Entry | None, now: float) -> Shown:
        """A stale answer, or the caller's fallback."""
        if found is not None and found.stale(now):
            return self._again(request, found, "stale")
        self.counts["fallbacks"] += 1
        return Shown(tuple(self._fallback(request)), "fallback", None)


def _read(body: bytes) -> tuple[str, tuple[str, ...], float]:
    """The decision's id, the items and their validity (s) of an answer of /decide. Raises
    ValueError for what is none."""
    said = parse_json(body)
    if not {"items", "decision_id"} <= said.keys():
        raise ValueError(f"/decide answered {body[:200]!r}: no items and decision_id in it")
    items: tuple[str, ...] = many(text)("items", said["items"])
    return (
        text("decision_id", said["decision_id"]),
        items,
        number("valid_s", said.get("valid_s", 0.0)),
    )
