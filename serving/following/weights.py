"""Mean weights, which are 1 where propensities are what was played, with bounds for hard stops."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np

from offpolicy.intervals.bounds import sequence_radius
from serving.contracts.decisions import Decision

EVERY = 8  # of so many tables of probabilities one is read, once the first have been
TUNED_AT = 2_000.0  # weights at which bounds are narrowest
LEAST = 30  # weights that bounds take
FEW = 0.1  # effective share of weights below which their mean says nothing from above
FAR = 0.1  # a smaller weight is of a slate that the other policy hardly ever shows
ROUNDING = 1e-9
HEAVIEST = 1e60  # the weight of what was drawn with a chance of 0, as the log says: it is wrong

Bounds = tuple[float | None, float | None]


class FirstPlaceWeights:
    """Of decisions whose table of candidates is logged: the weight of a target that is known, the
    square root of the probabilities, on the first place.

    If the table is what was played, weights have the mean 1 and a variance that the table says, and
    none is above a number that it says, nor below 0. So bounds need nothing of the weights seen,
    which hide rare and heavy ones: Bernstein's, for a sum that is watched all the time; a mean that
    is too small is seen early, since no weight is further than 1 below it. Freedman (1975), with
    the radius of Waudby-Smith et al. (2024).
    """

    def __init__(self) -> None:
        self.n, self.total, self.variance, self.most = 0, 0.0, 0.0, 0.0

    def add(self, one: Decision) -> None:
        """The first TUNED_AT, so that a wrong one is seen early; then one in EVERY, which the id
        chooses: to read a table costs more than all else."""
        if one.candidate_propensity is None or one.fallback is not None or one.slate[0] < 0:
            return
        if self.n >= TUNED_AT and crc32(one.decision_id.encode()) % EVERY:
            return
        root = np.sqrt(np.asarray(one.candidate_propensity))
        root = root[root > 0]
        total, first = float(root.sum()), max(one.position_propensity[0], 0.0)
        self.n += 1
        self.total += _ratio(1.0, math.sqrt(first) * total)
        if not total > 0:
            return
        self.variance += len(root) / total**2 - 1.0
        self.most = max(self.most, 1.0 / (float(root.min()) * total))

    def bounds(self, level: float) -> Bounds:
        """Of the mean, at all looks together; None where there are too few."""
        if self.n < LEAST:
            return None, None
        radius = float(sequence_radius(self.n / TUNED_AT, 1 - level))
        spread, mean = radius * math.sqrt(max(self.variance, 0.0)), self.total / self.n
        rare = radius**2 / 6  # times the most by which a weight can be off its mean, on each side
        above, below = spread + self.most * rare, spread + rare
        return mean - above / self.n - ROUNDING, mean + below / self.n + ROUNDING


class SlateWeights:
    """Of slates that another policy drew: their probability under the one, by that under the other.

    Nobody knows their variance. Where few of them carry their sum, or one in ten is next to nothing
    (two policies that are nearly sure of different slates), heavier ones may be missing, and from
    above the mean is bounded by the heaviest one that was possible alone.
    """

    def __init__(self) -> None:
        self.n, self.total, self.squares, self.most = 0, 0.0, 0.0, 0.0
        self.far = 0

    def add(self, propensity: float, drawn_with: float) -> None:
        """Probabilities of one slate."""
        weight = _ratio(propensity, drawn_with)
        self.n, self.total, self.far = self.n + 1, self.total + weight, self.far + (weight < FAR)
        self.squares, self.most = self.squares + weight**2, max(self.most, _ratio(1.0, drawn_with))

    def bounds(self, level: float) -> Bounds:
        """As of `FirstPlaceWeights`; asymptotic. Waudby-Smith et al. (2024)."""
        if self.n < LEAST:
            return None, None
        mean = self.total / self.n
        variance = max(0.0, self.squares - self.n * mean**2) / (self.n - 1)
        radius = float(sequence_radius(self.n / TUNED_AT, 1 - level))
        half = radius * math.sqrt(variance / self.n) + ROUNDING
        few = self.total**2 < FEW * self.n * self.squares or self.far > FEW * self.n
        return mean - half, max(mean + half, self.most) if few else mean + half


def _ratio(above: float, below: float) -> float:
    return min(above / below, HEAVIEST) if below > 0 else HEAVIEST
