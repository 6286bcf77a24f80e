"""Many candidates from one log: intervals that hold together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.inference import Interval, check_level, interval, standard_error

DRAWS = 20_000  # of the largest |z|; its 95 % quantile is then known to about .02


def bonferroni(level: float, candidates: int) -> float:
    """The level each of several intervals needs so that all hold with `level`."""
    return 1 - (1 - level) / candidates


def simultaneous(
    estimates: Mapping[str, Estimate], level: float = 0.95, *, seed: int = 0
) -> dict[str, Interval]:
    """Intervals that ALL hold with probability `level`: the quantile of the largest |z| given how
    the estimates move together (they share rows), never wider than Bonferroni's.
    Romano & Wolf (2005).

    Raises:
        ValueError: estimates on different units.
    """
    check_level(level)
    found = list(estimates.values())
    if not found:
        raise ValueError("no estimates; pass {name: estimate}")
    if len({len(e.psi) for e in found}) != 1:
        raise ValueError("estimates are on different units; estimate all on the same rows")
    psi = np.stack([e.psi for e in found])
    size = np.sqrt((psi**2).sum(1, keepdims=True))
    unit = np.divide(psi, size, out=np.zeros_like(psi), where=size > 0)
    values, vectors = np.linalg.eigh(unit @ unit.T)
    root = vectors * np.sqrt(np.maximum(values, 0))
    z = np.random.default_rng(seed).standard_normal((DRAWS, len(found))) @ root.T
    critical = float(np.quantile(np.abs(z).max(1), level))
    result = {}
    for name, e in estimates.items():
        widest = interval(e, bonferroni(level, len(found)))
        pushed = replace(widest, level=level)
        reach = min(critical * standard_error(e), (widest.high - widest.low) / 2)
        low = e.value - reach + min(e.bias[0], 0.0)
        high = e.value + reach + max(e.bias[1], 0.0)
        result[name] = replace(pushed, low=low, high=high)
    return result
