"""A decision's event: what the request asked, what the user's history was, what was answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.answers import Answer
from serving.contracts.decisions import Decision
from serving.door import Admitted
from serving.hashes import history_hash
from serving.live import FALLBACK, Arm
from serving.sessions.store import Seen

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Moment(NamedTuple):
    """When a batch was decided."""

    now: float  # s of the clock
    started: float  # s of the timer
    timer: Callable[[], float]

    def worked_ms(self) -> float:
        """Since then."""
        return 1e3 * (self.timer() - self.started)


class Asked(NamedTuple):
    """A request at its turn."""

    admitted: Admitted
    waited_ms: float
    late: bool  # the fallback answers it


def decision_of(
    asked: Asked,
    seen: Seen,
    history: tuple[I32, F32],
    answer: Answer,
    arm: Arm,
    names: tuple[str, ...],
    at: Moment,
) -> Decision:
    """The decision on one request, whose history was items (H,) and responses (H, R)."""
    one, (items, responses), live = asked.admitted, history, arm.live
    slate, table = answer.slate.tolist(), answer.candidate_propensity
    prior: dict[str, Any] = {"prior_items": (), "prior_responses": ()}
    if seen.step == 0:
        first = items >= 0
        prior["prior_items"] = tuple(items[first].tolist())
        prior["prior_responses"] = tuple(map(tuple, responses[first].tolist()))
    return Decision(
        decision_id=one.visit.request_id,
        time=at.now,
        user=one.visit.user,
        session=one.visit.session,
        began=seen.began,
        step=seen.step,
        slate=tuple(slate),
        items=tuple([names[i] for i in slate if i >= 0]),
        propensity=answer.propensity,
        position_propensity=tuple(answer.position_propensity.tolist()),
        candidates=None if answer.candidates is None else tuple(answer.candidates.tolist()),
        candidate_propensity=None if table is None else tuple(table.tolist()),
        context=one.context,
        policy=live.version if answer.fallback is None else FALLBACK,
        policy_sha256=live.sha256,
        rules=live.rules,
        history_version=seen.version,
        history_hash=history_hash(items, responses),
        history_age=None if seen.updated is None else max(0.0, at.now - seen.updated),
        unknown_items=one.unknown_items,
        fallback=answer.fallback,
        waited_ms=asked.waited_ms,
        worked_ms=at.worked_ms(),
        arm=arm.name,
        rollout=arm.rollout,
        **prior,
    )
