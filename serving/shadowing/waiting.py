"""Decisions that wait for the shadow: a bounded queue, beside the path of requests."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.observation import Observation
from serving.answers import Answer
from serving.live import Live


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A decision of the live version, of which the log holds the event."""

    decision_id: str
    user: str  # keyed hash
    answer: Answer
    obs: Observation  # of this one; candidates are the fallback's pool where none were given
    given: bool  # the request gave candidates
    live: Live  # what drew it


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Decisions of one version, which a shadow is asked about in one go."""

    shown: tuple[Shown, ...]

    def __len__(self) -> int:
        return len(self.shown)

    def rows(self, index: slice) -> Together:
        """Some of them."""
        return Together(self.shown[index])

    @property
    def live(self) -> Live:
        """What drew them."""
        return self.shown[0].live

    @property
    def given(self) -> NDArray[np.bool_]:
        """(B,) whose requests gave candidates."""
        return np.array([one.given for one in self.shown], np.bool_)

    @property
    def slate(self) -> NDArray[np.int32]:
        """(B, K) items that were shown."""
        return np.stack([one.answer.slate for one in self.shown])

    @property
    def obs(self) -> Observation:
        """Of all of them."""
        every = [one.obs for one in self.shown]
        first = every[0]

        def column(name: str) -> NDArray[np.generic]:
            return np.concatenate([getattr(obs, name) for obs in every])

        return Observation(
            history_items=column("history_items"),  # type: ignore[arg-type]
            history_responses=column("history_responses"),  # type: ignore[arg-type]
            user=column("user"),  # type: ignore[arg-type]
            candidates=None if first.candidates is None else column("candidates"),  # type: ignore[arg-type]
            eligible=None if first.eligible is None else column("eligible"),  # type: ignore[arg-type]
        )


class Waiting:
    """At most `most` decisions, the oldest first. What finds no room is not asked about, and
    counted. One thread at a time."""

    def __init__(self, counts: Counter[str], most: int = 256) -> None:
        self.counts, self.most = counts, most
        self._shown = deque[Shown]()

    def __len__(self) -> int:
        return len(self._shown)

    def add(self, shown: Sequence[Shown]) -> None:
        """As many as there is room for."""
        room = max(0, self.most - len(self._shown))
        self._shown.extend(shown[:room])
        self.counts["shadow_dropped"] += len(shown[room:])

    def take(self, most: int) -> Together | None:
        """The oldest ones of one version; None where nothing waits."""
        taken: list[Shown] = []
        while self._shown and len(taken) < most:
            if taken and self._shown[0].live is not taken[0].live:
                break
            taken.append(self._shown.popleft())
        return Together(tuple(taken)) if taken else None

    def forget(self, user: str) -> None:
        """No decision of a user (a keyed hash) waits any more."""
        for one in [one for one in self._shown if one.user == user]:
            self._shown.remove(one)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._shown.clear()
