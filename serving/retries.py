"""Requests that are sent again: what was answered is answered again, whatever has changed since."""

from __future__ import annotations

from collections import OrderedDict

from policies.validation import whole
from serving.contracts.decisions import Decision
from serving.sessions.store import Visit

Key = tuple[str, str, str]  # user, session, request_id


def key_of(decision: Decision) -> Key:
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
