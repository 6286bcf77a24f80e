"""How often one user may ask: a token bucket each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

from policies.validation import COUNT, POSITIVE


class Rates:
    """Every user has a bucket of a second's worth of requests, at least one, which fills again at
    `a_second`. The buckets of the `most` users seen last are known; another user's is full.

    Users are told apart by Python's hash of their id, so that no id is kept.
    """

    def __init__(self, a_second: float, most: int) -> None:
        POSITIVE.check("a_second", a_second)
        COUNT.check("most", most)
        self.a_second, self.most = a_second, most
        self.size = max(1.0, a_second)
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()  # left, and when

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, user: str, now: float) -> bool:
        """Whether the user may ask at time `now`, s; if so, one request is taken from the bucket.
        A clock that goes back fills nothing."""
        key = hash(user)
        left, before = self._buckets.pop(key, (self.size, now))
        left = min(self.size, left + self.a_second * max(0.0, now - before))
        may = left >= 1
        self._buckets[key] = (left - may, max(now, before))
        if len(self._buckets) > self.most:
            self._buckets.popitem(last=False)
        return may
