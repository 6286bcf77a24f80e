"""How long work takes, by how long it took lately."""

from __future__ import annotations

WEIGHT = 0.1  # of the last batch in the moving averages
PRIOR = 0.25  # weight, in sizes squared, of the assumption that half of a batch's time is its own
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

    def took(self, n: int, ms: float) -> None:
        """A batch of `n` requests."""
        ms = min(ms, TIMES * self.of(n, n) + MORE_MS)
        self._n += WEIGHT * (n - self._n)
        self._ms += WEIGHT * (ms - self._ms)
        self._nn += WEIGHT * (n * n - self._nn)
        self._n_ms += WEIGHT * (n * ms - self._n_ms)

    def each_ms(self) -> float:
        """What one more request adds to a batch."""
        even = self._ms / self._n
        spread = max(self._nn - self._n**2, 0.0)
        slope = (self._n_ms - self._n * self._ms + PRIOR * 0.5 * even) / (spread + PRIOR)
        return min(max(slope, 0.05 * even), even)

    def own_ms(self) -> float:
        """What a batch takes beside its requests."""
        return max(self._ms - self.each_ms() * self._n, 0.0)

    def of(self, n: int, batch: int) -> float:
        """The time of `n` requests, ms, in batches of `batch` at most."""
        return -(-n // batch) * self.own_ms() + n * self.each_ms()

    def fits(self, ms: float) -> float:
        """How many requests a batch may have to take `ms` at most."""
        each = self.each_ms()
        return (ms - self.own_ms()) / each if each > 0 else float("inf")
