"""Users who are far more regular than the spread of users foretells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64

REGULAR = 0.95  # share of a user's trials that are the same, from which the user is regular
LEAST_TRIALS = 5
LEAST_USERS = 30  # others, by whom the spread is known
COMMON = 0.5  # share of regular users above which the pattern says nothing
FITTED = 4_000  # users that the spread is fitted to, at most
FALSE = 0.1  # share of the users named who are no bots, at most


class Regular(NamedTuple):
    """Who is regular, and how surprising that is."""

    p_value: float  # of so many users, or one of them, over all users
    users: NDArray[np.int64]  # of them those that stand out by themselves
    many: int  # regular users
    expected: float  # of them, of people; 0 where there are none
    usual: float  # mean share of the others


def regular(hits: F64, trials: F64) -> Regular | None:
    """People's chances differ: their hits are beta-binomial. The law is fitted to the users that
    are not regular, given that they are not (a truncated likelihood), so that bots do not set it;
    then so many regular users, or one with so many trials, are that improbable. None where there
    are too few users, or too many are regular.
    """
    from scipy.special import pdtrc

    enough = np.flatnonzero(trials >= LEAST_TRIALS)
    k, n = hits[enough], trials[enough]
    steady = k >= REGULAR * n
    others = ~steady
    if others.sum() < LEAST_USERS or steady.sum() > COMMON * len(n):
        return None
    usual, count = float((k[others] / n[others]).mean()), int(steady.sum())
    if not count:
        return Regular(1.0, enough[:0], 0, 0.0, usual)
    chance = _upper(n, *_fitted(k[others], n[others]))
    expected = float(chance.sum())
    so_many = float(pdtrc(count - 1, expected))
    least = float(chance[steady].min()) * len(n)
    named = _named(np.where(steady, chance, 1.0))
    return Regular(min(2 * min(so_many, least), 1.0), enough[named], count, expected, usual)


def _named(p: F64) -> NDArray[np.int64]:
    """Users below the threshold of Benjamini & Hochberg (1995)."""
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= FALSE * np.arange(1, len(p) + 1) / len(p))
    return np.sort(order[: passed[-1] + 1]) if len(passed) else order[:0]


def _fitted(k: F64, n: F64) -> tuple[float, float]:
    """Parameters of the beta law by the likelihood of users that are not regular."""
    from scipy.optimize import minimize

    step = -(-len(k) // FITTED)
    k, n = k[::step], n[::step]
    mean = min(max(float((k / n).mean()), 1e-3), 1 - 1e-3)

    def loss(x: F64) -> float:
        a, b = _beta(x)
        inside = np.maximum(1 - _upper(n, a, b), 1e-12)
        return float((np.log(inside) - _log_chance(k, n, a, b)).sum())

    start = np.array([np.log(mean / (1 - mean)), np.log(10.0)])
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 0.01, "fatol": 0.01})
    return _beta(best.x)


def _beta(x: F64) -> tuple[float, float]:
    """Mean and size on free scales to the parameters."""
    mean = 1 / (1 + np.exp(-np.clip(x[0], -12, 12)))
    size = np.exp(np.clip(x[1], -4, 9))
    return float(mean * size), float((1 - mean) * size)


def _log_chance(k: F64, n: F64, a: float, b: float) -> F64:
    """Of k hits in n trials."""
    from scipy.special import betaln

    ways = -np.log(n + 1) - betaln(n - k + 1, k + 1)
    return np.asarray(ways + betaln(k + a, n - k + b) - betaln(a, b))


def _upper(n: F64, a: float, b: float) -> F64:
    """Chance of being regular in n trials."""
    sizes, code = np.unique(n, return_inverse=True)
    least = np.ceil(REGULAR * sizes - 1e-9)
    total = np.zeros(len(sizes))
    for j in range(int((sizes - least).max()) + 1):
        k = sizes - j
        total += np.where(k >= least, np.exp(_log_chance(np.maximum(k, 0), sizes, a, b)), 0.0)
    return np.minimum(total, 1.0)[code.ravel()]
