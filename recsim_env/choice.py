"""Choice models: which place of one slate a user takes. Pure scalar functions, shared by all users.

Each takes the scores (K,) of the places shown and luck `u`, uniform on [0, 1), and returns the
place or -1 for none. `scores` is scratch: a choice may overwrite it.
"""

from __future__ import annotations

import math
from typing import Any

from recsim_env.jit import njit


@njit
def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@njit
def proportional(weights: Any, none: float, u: float) -> int:
    """Place j with probability w_j / (none + sum w); all weights >= 0 (Luce, 1959)."""
    total = none
    for k in range(weights.size):
        total += weights[k]
    left = u * total
    for k in range(weights.size):
        left -= weights[k]
        if left < 0.0:
            return k
    return -1


@njit
def multinomial_logit(scores: Any, none: float, u: float) -> int:
    """Place j with probability e^{s_j} / (e^{none} + sum e^s) (McFadden, 1974)."""
    top = none
    for k in range(scores.size):
        top = max(top, scores[k])
    for k in range(scores.size):
        scores[k] = math.exp(scores[k] - top)
    return proportional(scores, math.exp(none - top), u)
