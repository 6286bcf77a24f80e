"""The guard of deadlines: who may wait, who has waited too long, and how much is done at once."""

from __future__ import annotations

SHARE = 0.5  # of a deadline, at most, that a batch is expected to take
PATIENCE = 1.5  # deadlines after which an answer is not worth waiting for
SMALLEST = 8  # requests that a batch may always have: it has some time of its own
WEIGHT = 0.1  # of the last batch in the moving averages
PRIOR = 0.25  # weight, in sizes squared, of the assumption that half of a batch's time is its own
REST, REST_SHARE, REST_MS = 0.5, 0.1, 2.5  # times a batch's own time, of a deadline, and ms: the
# shortest of them is the longest rest
TIMES, MORE_MS = 4.0, 5.0  # what was expected so many times and so much more is what a batch counts
# for at most


class Pace:
    """A batch takes some time of its own and some for each of its requests: a line through the last
    batches by least squares, older ones of less weight (exponential smoothing, Brown 1959).

    What a batch counts for is bounded by what was expected of it: after one pause of the machine,
    hardly more is expected; after ten batches that are as slow, all of it is.
    """

    def __init__(self) -> None:
        self._n, self._ms, self._nn, self._n_ms = 1.0, 0.0, 1.0, 0.0  # means
        self._each = self._own = 0.0  # ms, by the line through them

    def took(self, n: int, ms: float) -> None:
        """A batch of `n` requests."""
        ms = min(ms, TIMES * self.of(n, n) + MORE_MS)
        self._n += WEIGHT * (n - self._n)
        self._ms += WEIGHT * (ms - self._ms)
        self._nn += WEIGHT * (n * n - self._nn)
        self._n_ms += WEIGHT * (n * ms - self._n_ms)
        self._each = self._slope()
        self._own = max(self._ms - self._each * self._n, 0.0)

    def each_ms(self) -> float:
        """What one more request adds to a batch."""
        return self._each

    def _slope(self) -> float:
        even = self._ms / self._n
        spread = max(self._nn - self._n**2, 0.0)
        slope = (self._n_ms - self._n * self._ms + PRIOR * 0.5 * even) / (spread + PRIOR)
        return min(max(slope, 0.05 * even), even)

    def own_ms(self) -> float:
        """What a batch takes beside its requests."""
        return self._own

    def of(self, n: int, batch: int) -> float:
        """The time of `n` requests, ms, in batches of `batch` at most; 0 of none."""
        if n == 0:
            return 0.0
        return -(-n // batch) * self._own + n * self._each

    def fits(self, ms: float) -> float:
        """How many requests a batch may have to take `ms` at most."""
        return (ms - self._own) / self._each if self._each > 0 else float("inf")


class Guard:
    """Knows how long batches take, from those of before.

    batch: requests of the largest one. deadline_ms: where a request gives none.
    """

    def __init__(self, batch: int, deadline_ms: float) -> None:
        self.batch, self.deadline_ms = batch, deadline_ms
        self.policy = Pace()  # of batches that the policy answers
        self.line = Pace()  # of whatever was taken from the line, and the outcomes beside it

    def size(self) -> int:
        """Requests of the next batch at most: as many as the policy answers in its share of a
        deadline."""
        return int(max(min(self.policy.fits(SHARE * self.deadline_ms), self.batch), self.least()))

    def least(self) -> int:
        """Requests of a batch, however slow it is."""
        return min(SMALLEST, self.batch)

    def rest_ms(self, waiting: int) -> float:
        """How long the worker lets requests come in after a batch in which none was late, where
        those that are `waiting` would take less time than a batch does beside its requests: the
        next one then shares that time among more of them. Work for few at a time costs several
        times as much for each. A request that comes to an idle server never waits for this.
        """
        own = self.policy.own_ms()
        if waiting * self.policy.each_ms() >= own:
            return 0.0
        return min(REST * own, REST_SHARE * self.deadline_ms, REST_MS)

    def late(self, waited_ms: float, deadline_ms: float, n: int) -> bool:
        """Whether the wait of a request, and what its batch of `n` is expected to take, exceed its
        deadline. The batch counts for its share of the deadline at most, so that a request that has
        just come is never late: slow batches cannot turn every later one into the fallback's."""
        expected = min(self.policy.of(n, n), SHARE * deadline_ms)
        return waited_ms + expected > deadline_ms

    def left_ms(self, n: int, since_ms: float) -> float:
        """What a batch of `n`, begun so long ago, is expected to take from now on."""
        return max(self.line.of(n, n) - since_ms, 0.0)

    def patience_ms(self, deadline_ms: float | None) -> float:
        """How long a request may wait for its answer. A deadline shorter than the server's own is
        met by the fallback."""
        return PATIENCE * max(deadline_ms or 0.0, self.deadline_ms)

    def admits(self, waiting: int, left_ms: float, deadline_ms: float | None) -> bool:
        """Whether one more request is expected to be answered in time, behind `waiting` others and
        what is left of the batch under way. The first in line always is let in."""
        if not waiting:
            return True
        expected = left_ms + self.line.of(waiting + 1, self.size())
        return expected <= self.patience_ms(deadline_ms)
