"""Many candidates on one log: simultaneous intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.gamma import Unseen, gamma_interval
from offpolicy.intervals.inference import Interval, check_level, quantile, within

DRAWS = 20_000  # of the largest |z|; its 95 % quantile is then known to about .02


def bonferroni(level: float, candidates: int) -> float:
    """The level each of several intervals needs so that all hold with `level`."""
    return 1 - (1 - level) / candidates


def simultaneous(
    estimates: Mapping[str, Estimate],
    level: float = 0.95,
    *,
    unseen: Mapping[str, Unseen] | None = None,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals that ALL hold with probability `level`: the quantile of the largest |z| given the
    correlations of the estimates (they share rows), never wider than Bonferroni's.
    Romano & Wolf (2005). With `unseen` they are gamma intervals (`gamma_interval`).

    Raises:
        ValueError: estimates on different units.
    """
    from scipy.special import ndtr

    check_level(level)
    if not estimates:
        raise ValueError("no estimates; pass {name: estimate}")
    if len({len(e.psi) for e in estimates.values()}) != 1:
        raise ValueError("estimates are on different units; estimate all on the same rows")
    psi = np.stack([e.psi for e in estimates.values()])
    size = np.sqrt((psi**2).sum(1, keepdims=True))
    unit = np.divide(psi, size, out=np.zeros_like(psi), where=size > 0)
    values, vectors = np.linalg.eigh(unit @ unit.T)
    root = vectors * np.sqrt(np.maximum(values, 0))
    z = np.random.default_rng(seed).standard_normal((DRAWS, len(estimates))) @ root.T
    critical = float(np.quantile(np.abs(z).max(1), level))
    each = min(max(float(2 * ndtr(critical)) - 1, level), bonferroni(level, len(estimates)))
    result = {}
    for name, e in estimates.items():
        if unseen is None:
            widest = quantile(0.5 + bonferroni(level, len(estimates)) / 2, len(e.psi) - 1)
            one = within(e, min(critical, widest), level)
        else:
            one = replace(gamma_interval(e, each, unseen=unseen[name]), level=level)
        result[name] = one
    return result
