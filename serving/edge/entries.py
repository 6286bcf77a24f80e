"""What a cache near the user holds: one answer a user, the users seen last. Pure, and bounded."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field

from serving.contracts.requests import Request

ASKED_ANEW = ("request_id", "deadline_ms", "schema", "type")  # do not change what is asked


@dataclass(slots=True)
class Entry:
    """An answer, and when it may be shown again."""

    question: str
    decision_id: str
    items: tuple[str, ...]
    since: float  # s: of an earlier moment, by a clock that went back, nothing is known
    until: float  # s: valid before
    stale_until: float  # s: before, it may be shown where the server fails
    shown: int = 0  # times after the first

    def valid(self, now: float) -> bool:
        """Whether it may be shown at `now` (s)."""
        return self.since <= now < self.until

    def stale(self, now: float) -> bool:
        """Whether it may be shown where the server fails."""
        return self.since <= now < self.stale_until


@dataclass(slots=True)
class Entries:
    """Answers by user, for at most `most` users: those seen last."""

    most: int
    held: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    evicted: int = 0

    def find(self, user: str, question: str) -> Entry | None:
        """The answer to the same question, valid or not."""
        entry = self.held.get(user)
        if entry is None:
            return None
        self.held.move_to_end(user)
        return entry if entry.question == question else None

    def keep(self, user: str, entry: Entry) -> None:
        """In place of the one so far."""
        self.held[user] = entry
        self.held.move_to_end(user)
        while len(self.held) > self.most:
            self.held.popitem(last=False)
            self.evicted += 1

    def drop(self, user: str) -> bool:
        """Whether there was one."""
        return self.held.pop(user, None) is not None


def question_of(request: Request) -> str:
    """Hash of what a request asks: equal for requests that the same answer fits."""
    asked = json.loads(request.to_json())
    for name in ASKED_ANEW:
        asked.pop(name, None)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
