"""When requests are due: open loop, so that no answer moves a later request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.validation import POSITIVE

F64 = NDArray[np.float64]
Arrivals = Literal["poisson", "constant"]


class Phase(NamedTuple):
    """A time of one rate."""

    rps: float  # requests a second
    seconds: float


def due_times(phases: Sequence[Phase], arrivals: Arrivals, rng: np.random.Generator) -> F64:
    """(N,) seconds from the start, ascending: the phases one after another.

    poisson: independent gaps, as requests of many users have them; their number is random, too.
    constant: equal gaps; the first request is due when the phase begins.
    Raises ValueError for a rate or a time that is not above 0.
    """
    began, parts = 0.0, []
    for phase in phases:
        POSITIVE.check("rps", phase.rps)
        POSITIVE.check("seconds", phase.seconds)
        expected = phase.rps * phase.seconds
        if arrivals == "poisson":
            within = np.sort(rng.random(rng.poisson(expected))) * phase.seconds
        else:
            within = np.arange(np.ceil(expected - 1e-9)) / phase.rps
        parts.append(began + within)
        began += phase.seconds
    return np.concatenate(parts) if parts else np.zeros(0)
