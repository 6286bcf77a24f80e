"""What users did of late, by an event log: for a plan of what is to come."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from offpolicy.trials.units import TrialUnits
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.events.log import EventReader
from serving.following.follower import Follower
from serving.following.maturing import Mature, Maturing
from serving.following.user_sums import UserSums, number_of
from serving.joining.rule import JoinRule

PART = 20_000  # events that are read before what is over is summed


@dataclass(frozen=True, slots=True, eq=False)
class PastTraffic:
    """Sums of users, whatever served them, in one stratum of one arm."""

    units: TrialUnits
    seconds: float  # from the first decision to the last

    @property
    def days(self) -> float:
        """Days that it spans."""
        return self.seconds / 86_400


def past_traffic(
    events: EventReader,
    join: JoinRule,
    names: Sequence[str],
    values: Callable[[Mature], Sequence[float]],
    *,
    now: float,
    seconds: float,
) -> PastTraffic:
    """Read the decisions of the last `seconds` before `now` (s) whose windows have passed.

    values: a decision's part of each of the metrics `names`.
    """
    maturing, sums, first, last = Maturing(join), UserSums(names), math.inf, -math.inf

    def settle(until: float) -> None:
        nonlocal first, last
        for one in maturing.mature(until):
            made = one.decision
            first, last = min(first, made.time), max(last, made.time)
            user, begins = number_of(made.user), made.step == 0
            sums.add(user, False, 0, values(one), begins=begins)

    n, earliest = 0, math.inf
    for event in Follower(events).new():
        if isinstance(event, Decision) and event.time >= now - seconds:
            maturing.add_decision(event)
        elif isinstance(event, OutcomeEvent) and event.time >= now - seconds:
            maturing.add_outcome(event)
        n, earliest = n + 1, min(earliest, event.time)
        if n >= PART:
            settle(earliest)
            n, earliest = 0, math.inf
    settle(now)
    return PastTraffic(sums.units(), max(0.0, last - first))
