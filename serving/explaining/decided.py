"""A decision of the event log, and the history that it saw, rebuilt from the same log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.observation import Serving
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import TAKEN, OutcomeEvent
from serving.events.log import Entry, EventReader
from serving.events.reading import in_order
from serving.hashes import history_hash


class Rebuilt(NamedTuple):
    """A history as an observation holds it."""

    items: NDArray[np.int32]  # (H,) oldest first, -1 padded on the left
    responses: NDArray[np.float32]  # (H, R)
    wrong: str | None  # why it is not what the decision saw


def find_decision(events: EventReader, decision_id: str) -> Decision | None:
    """The first decision of that id; events are read one at a time."""
    named = {json.dumps(decision_id, ensure_ascii=ascii).encode() for ascii in (True, False)}
    for writer in events.writers():
        for entry in events.read(writer):
            if any(one in entry.event for one in named):  # others are not parsed
                event = read_event(entry.event)
                if isinstance(event, Decision) and event.decision_id == decision_id:
                    return event
    return None


def rebuild_history(events: EventReader, decision: Decision, serving: Serving) -> Rebuilt:
    """What the user had taken: the history at the session's first decision, and what the log says
    was taken from then until the decision. One user's events are held at a time.

    It is checked against the version and the hash that the decision carries.
    """
    first: Decision | None = None
    taken: list[OutcomeEvent] = []
    counted: set[str] = set()  # decisions of which an item was taken: the first one counts
    for event in in_order(_OfUser(events, decision.user)):
        if isinstance(event, OutcomeEvent):
            if event.kind != TAKEN or event.item is None or event.user != decision.user:
                continue
            if event.decision_id not in counted and first is not None:
                taken.append(event)
            counted.add(event.decision_id)
        elif isinstance(event, Decision):
            if first is None and event.decision_id == decision.began:
                first = event
            if event.decision_id == decision.decision_id:
                break
    if first is None:
        return _of([], [], serving, "the first decision of its session is not in the event log")
    items = [*first.prior_items, *(event.item for event in taken if event.item is not None)]
    observed = [*first.prior_responses, *(event.responses for event in taken)]
    version = first.history_version + len(taken)
    wrong = None
    if version != decision.history_version:
        wrong = f"it has version {version}, and the decision saw {decision.history_version}"
    found = _of(items, observed, serving, wrong)
    if wrong is None and history_hash(found.items, found.responses) != decision.history_hash:
        return found._replace(wrong="its hash is not the one that the decision carries")
    return found


def _of(items: list[int], observed: list[Any], serving: Serving, wrong: str | None) -> Rebuilt:
    h, r = serving.history_length, len(serving.response_names)
    known = [n for n, item in enumerate(items) if 0 <= item < serving.n_items][-h:]
    history, responses = np.full(h, -1, np.int32), np.zeros((h, r), np.float32)
    if known:
        history[h - len(known) :] = [items[n] for n in known]
        responses[h - len(known) :] = np.array([observed[n] for n in known], np.float32)
    return Rebuilt(history, responses, wrong)


@dataclass(frozen=True, slots=True)
class _OfUser:
    """An event log as far as it speaks of one user."""

    events: EventReader
    user: str  # keyed hash

    def writers(self) -> list[str]:
        return self.events.writers()

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        named = json.dumps(self.user).encode()
        return (entry for entry in self.events.read(writer, after) if named in entry.event)
