"""What was decided is kept before it is given away: in the event log, and for retries."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence

from policies.validation import whole
from serving.answers import said
from serving.contracts.decisions import Decision
from serving.contracts.skimming import Opened
from serving.events.batches import append_each
from serving.events.log import EventLog
from serving.sessions.store import Visit

logger = logging.getLogger("serving")


Key = tuple[str, str, str]  # user, session, request_id


def key_of(decision: Decision | Opened) -> Key:
    """By whom, and in which session, a decision was asked for."""
    return decision.user, decision.session, decision.decision_id


class Retries:
    """The last `most` decisions that the event log holds, as their events (about 5 kB each).

    A slate is a function of request, history and version. Between two tries of a request any of
    the last two may change; the log would then hold two decisions under one id, and outcomes of the
    one that was shown would be those of the other. Raises ValueError for `most` below 0.
    """

    def __init__(self, most: int) -> None:
        whole(0).check("remembered", most)
        self.most = most
        self._events: OrderedDict[Key, bytes] = OrderedDict()  # the oldest first

    def keep(self, key: Key, event: bytes) -> None:
        """Remember what was answered to a request of a user and session."""
        self._events[key] = event
        if len(self._events) > self.most:
            self._events.popitem(last=False)

    def of(self, visit: Visit) -> Decision | None:
        """What was answered; None where it is not known."""
        event = self._events.get(visit[:3])
        return None if event is None else Decision.from_json(event)

    def forget(self, user: str) -> None:
        """What was answered to a user is not known any more."""
        for key in [key for key in self._events if key[0] == user]:
            del self._events[key]


class Keeper:
    """An event log, what it could not keep, and which parts of an engine fail."""

    def __init__(self, events: EventLog, remembered: int) -> None:
        self.events, self.retries = events, Retries(remembered)
        self.counts: Counter[str] = Counter()
        self.failing = set[str]()  # parts that failed when they were last used
        self.number = -1  # of the last decision's event
        self.latest = -1  # of the last event of a decision or outcome

    def keep(self, decision: Decision, visit: Visit) -> str | None:
        """Why the event log does not hold the decision; None where it does."""
        return self.keep_many([(decision, visit)])[0]

    def keep_many(self, made: Sequence[tuple[Decision, Visit]]) -> list[str | None]:
        """The same for decisions of a batch, in one go where the log can do that."""
        events = {i: d.to_json() for i, (d, _) in enumerate(made) if d.step >= 0}
        numbers = dict(zip(events, append_each(self.events, [*events.values()]), strict=True))
        return [
            self._kept(numbers[i], visit, events[i]) if i in events else "the step is not known"
            for i, (_, visit) in enumerate(made)
        ]

    def _kept(self, number: int | Exception, visit: Visit, event: bytes) -> str | None:
        if isinstance(number, Exception):  # users are served whatever fails
            self.alarm("event log", number)
            return said("event log", number)
        self.alarm("event log", None)
        self.number = self.latest = number
        self.retries.keep(visit[:3], event)
        return None

    def count(self, decision: Decision, *, logged: bool) -> None:
        """One more answer."""
        counts = self.counts
        counts["decisions"] += 1
        counts["fallbacks"] += decision.fallback is not None
        counts["unlogged"] += not logged
        counts["unknown_items"] += decision.unknown_items

    def alarm(self, part: str, error: Exception | None) -> None:
        """Log the first failure of several in a row, and the end of them."""
        if error is not None and part not in self.failing:
            self.failing.add(part)
            logger.error("%s failed; the fallback is served until it is back", part, exc_info=error)
        elif error is None and part in self.failing:
            self.failing.remove(part)
            logger.warning("%s is back", part)
