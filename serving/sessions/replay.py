"""Sessions after a restart: what a store knew, from the whole event log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import numpy as np

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import TAKEN, OutcomeEvent
from serving.contracts.skimming import Opened, Reported
from serving.events.log import EventLog
from serving.events.reading import in_order
from serving.sessions.store import SessionStore, Taken, Visit

Told = Decision | OutcomeEvent | Opened | Reported


def replay(
    events: EventLog,
    sessions: SessionStore,
    *,
    responses: int,
    after: Mapping[str, int] | None = None,
    recall: Callable[[Decision], None] | None = None,
) -> int:
    """Tell an empty store what an event log holds: steps and histories go on where they were.
    Returns the number of events. `responses` is R, the policy's response names; of a writer that
    `after` names, events with numbers above are read. `recall` is told every decision: with the
    engine's, requests that are sent again get what they got before the restart.

    What was not logged is not in it, as it is in no joined log.
    """
    n = 0
    for event in in_order(events, after):
        n += 1
        tell([event], sessions, responses)
        if recall is not None and isinstance(event, Decision):
            recall(event)
    return n


def tell(events: Iterable[Told], sessions: SessionStore, responses: int) -> None:
    """Tell a store what happened, in this order; those of one time and kind at once."""
    nothing = np.zeros(0, np.int32), np.zeros((0, responses), np.float32)

    def visit(event: Decision | Opened) -> Visit:
        items, observed = nothing
        if event.prior_items:
            items = np.array(event.prior_items, np.int32)
            observed = np.array(event.prior_responses, np.float32).reshape(-1, responses)
        return Visit(
            event.user, event.session, event.decision_id, items, observed, event.step, event.began
        )

    for (time, of_decisions), several in groupby(events, _when):
        if of_decisions:
            visits = [visit(one) for one in several if isinstance(one, Decision | Opened)]
            sessions.open(visits, time)
            continue
        taken = [
            Taken(one.user, one.decision_id, one.item, one.responses)
            for one in several
            if isinstance(one, OutcomeEvent | Reported) and one.kind == TAKEN
            if one.item is not None
        ]
        if taken:
            sessions.apply(taken, time)


def _when(event: Told) -> tuple[float, bool]:
    return event.time, isinstance(event, Decision | Opened)
