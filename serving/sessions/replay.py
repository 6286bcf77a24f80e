"""Sessions after a restart: what a store knew, from the event log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import TAKEN, OutcomeEvent
from serving.events.log import EventLog
from serving.events.reading import in_order
from serving.sessions.store import SessionStore, Taken, Visit


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
        if not isinstance(event, OutcomeEvent):
            items = np.array(event.prior_items, np.int32)
            observed = np.array(event.prior_responses, np.float32).reshape(-1, responses)
            visit = Visit(event.user, event.session, event.decision_id, items, observed)
            sessions.open([visit._replace(step=event.step, began=event.began)], event.time)
            if recall is not None:
                recall(event)
        elif event.kind == TAKEN and event.item is not None:
            taken = Taken(event.user, event.decision_id, event.item, event.responses)
            sessions.apply([taken], event.time)
    return n
