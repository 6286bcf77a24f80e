"""Exact bounds of a share that was counted."""

from __future__ import annotations


def exact_bounds(k: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Bounds of the chance of which `k` of `n` independent trials are seen, each missed with a
    chance of at most (1 - level) / 2; 0 and 1 where nothing was tried. Clopper & Pearson (1934).
    """
    error = (1 - level) / 2
    return _lower(k, n, error), 1.0 - _lower(n - k, n, error)


def _lower(k: float, n: float, error: float) -> float:
    from scipy.special import betaincinv

    return float(betaincinv(k, n - k + 1, error)) if k > 0 else 0.0
