"""How far an estimator that changes its weights may be off: sums over rows that add up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offpolicy.estimators.forms import Form
from offpolicy.estimators.terms import F64


class Lost(NamedTuple):
    """What the used weights miss of the true ones, which average 1, over the rows seen so far."""

    rows: float = 0.0  # 0 where no weight was changed
    used: float = 0.0
    gained: float = 0.0  # where the used weight is above the true one …
    cut: float = 0.0  # … and below it
    low: float = np.inf  # what the weights multiply
    high: float = -np.inf

    def and_of(self, form: Form, weight: F64) -> Lost:
        """With some more rows."""
        if form.used is None or form.residual is None:
            return self
        change = form.used - weight
        return self.with_(
            Lost(
                float(len(weight)),
                float(form.used.sum()),
                float(np.maximum(change, 0).sum()),
                -float(np.minimum(change, 0).sum()),
                float(form.residual.min()),
                float(form.residual.max()),
            )
        )

    def with_(self, other: Lost) -> Lost:
        """Two shards together."""
        a, b = self, other
        return Lost(
            a.rows + b.rows, a.used + b.used, a.gained + b.gained, a.cut + b.cut,
            min(a.low, b.low), max(a.high, b.high),
        )  # fmt: skip

    def bounds(self) -> tuple[float, float]:
        """Truth minus expectation: what is missed of 1 times the rewards seen."""
        if not self.rows:
            return 0.0, 0.0
        gained = self.gained / self.rows
        lost = 1 - self.used / self.rows + gained
        if lost <= 0:  # this sample's weights average more than 1: what it cut is the better guess
            lost = self.cut / self.rows
        low = min(lost * self.low, 0.0) - max(gained * self.high, 0.0)
        high = max(lost * self.high, 0.0) - min(gained * self.low, 0.0)
        return min(low, high), max(low, high)
