"""Outcomes on their way from users to a service."""

from __future__ import annotations

import heapq
import math

import numpy as np

from experiments.live.users.crowd import Crowd
from experiments.live.users.messages import PAID
from serving import Outcome


class Due:
    """What is taken arrives before the user's next request, what pays is
    late, and some are sent twice."""

    def __init__(self, crowd: Crowd, seed: int, day: int) -> None:
        self.crowd = crowd
        self.rng = np.random.default_rng(np.random.SeedSequence((seed, day, 3)))
        self._heap: list[tuple[float, int, Outcome]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, now: float, outcomes: list[Outcome]) -> None:
        """Of one decision."""
        crowd = self.crowd
        soon = now + crowd.think / 2
        late, twice = self.rng.random(2).tolist()
        wait = min(-crowd.delay * math.log1p(-late), crowd.longest_delay) // crowd.think
        for outcome in outcomes:
            self._push(soon + wait * crowd.think if outcome.kind == PAID else soon, outcome)
        if outcomes and twice < crowd.duplicates:
            self._push(soon + crowd.think, outcomes[0])

    def _push(self, at: float, outcome: Outcome) -> None:
        heapq.heappush(self._heap, (at, self._count, outcome))
        self._count += 1

    def until(self, time: float) -> list[tuple[float, list[Outcome]]]:
        """What arrives before a time, and when: those of a moment together."""
        groups: list[tuple[float, list[Outcome]]] = []
        while self._heap and self._heap[0][0] < time:
            at, _, outcome = heapq.heappop(self._heap)
            if not groups or groups[-1][0] != at:
                groups.append((at, []))
            groups[-1][1].append(outcome)
        return groups
