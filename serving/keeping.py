"""What was decided is kept before it is given away: in the event log, and for retries."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from serving.answers import said
from serving.contracts.decisions import Decision
from serving.events.batches import append_each
from serving.events.log import EventLog
from serving.retries import Retries
from serving.sessions.store import Visit

logger = logging.getLogger("serving")


class Keeper:
    """An event log, what it could not keep, and which parts of an engine fail."""

    def __init__(self, events: EventLog, remembered: int) -> None:
        self.events, self.retries = events, Retries(remembered)
        self.counts: Counter[str] = Counter()
        self.failing = set[str]()  # parts that failed when they were last used

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
