"""The guard of deadlines: which requests have waited too long for the policy."""

from __future__ import annotations

SHARE = 0.5  # of a deadline, at most, that a batch is expected to take
WEIGHT = 0.1  # of the last batch in the moving average


class Guard:
    """A request is late where its wait, and what a batch is expected to take, exceed its deadline.

    Only batches in which the policy answered somebody update the expectation. It counts for half of
    a deadline at most, so that a request that has just come is never late: one slow batch cannot
    turn every later one into the fallback's.
    """

    def __init__(self) -> None:
        self.expected_ms = 0.0

    def late(self, waited_ms: float, deadline_ms: float) -> bool:
        return waited_ms + min(self.expected_ms, SHARE * deadline_ms) > deadline_ms

    def took(self, batch_ms: float) -> None:
        """A batch that the policy answered, wholly or in part."""
        self.expected_ms += WEIGHT * (batch_ms - self.expected_ms)
