"""Whether an outcome came of a decision in time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

from serving.contracts.decisions import Decision
from serving.metrics.sums import Sums


class Awaited:
    """Decisions that wait for an outcome, each for `within` seconds.

    Where `most` wait already, further ones are left out. Which ones depends on time alone, so that
    what is counted is a fair sample.
    """

    def __init__(self, within: float, most: int = 20_000) -> None:
        self.within, self.most = within, most
        self._since: dict[str, float] = {}  # decision_id -> s, in the order of arrival
        self._known: set[str] = set()

    def decided(self, decisions: Iterable[Decision]) -> None:
        """Wait for outcomes of these."""
        for one in decisions:
            if len(self._since) >= self.most:
                return
            self._since.setdefault(one.decision_id, one.time)

    def came(self, decision_ids: Iterable[str]) -> None:
        """Outcomes of these decisions were logged."""
        self._known.update(one for one in decision_ids if one in self._since)

    def over(self, now: float) -> Sums:
        """Let go of decisions whose time is over, and count them."""
        counts = {"known": 0, "none": 0}
        while self._since:
            first = next(iter(self._since))
            if now - self._since[first] < self.within:
                break
            del self._since[first]
            counts["known" if first in self._known else "none"] += 1
            self._known.discard(first)
        return Sums({("longplay_awaited", k): n for k, n in counts.items() if n})
