"""Choice models: which position of a slate a user takes. Pure scalar functions for all models.

Each takes the scores (K,) of the positions shown and a random number `u`, uniform on [0, 1), and
returns the position or -1 for none. `scores` is scratch: a choice may overwrite it.
"""

from __future__ import annotations

import math
from typing import Any

from recsim_env.jit import njit
from recsim_env.random import uniform


@njit
def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@njit
def proportional(weights: Any, none: float, u: float) -> int:
    """Position j with probability w_j / (none + sum w); all weights >= 0 (Luce, 1959)."""
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
    """Position j with probability e^{s_j} / (e^{none} + sum e^s) (McFadden, 1974)."""
    top = none
    for k in range(scores.size):
        top = max(top, scores[k])
    for k in range(scores.size):
        scores[k] = math.exp(scores[k] - top)
    return proportional(scores, math.exp(none - top), u)


@njit
def cascade(chances: Any, u: float) -> int:
    """Positions examined in order, the first that pleases is taken (Craswell et al., 2008).

    Position i with probability c_i prod_{m < i} (1 - c_m), where c = attention x scale x score.
    """
    examined = 1.0
    for k in range(chances.size):
        u -= examined * chances[k]
        if u < 0.0:
            return k
        examined *= 1.0 - chances[k]
    return -1


@njit
def exponential_cascade(scores: Any, scale: float, u: float) -> int:
    """The cascade with chances scale x e^s; `scale` must keep them at most 1."""
    for k in range(scores.size):
        scores[k] = min(scale * math.exp(scores[k]), 1.0)
    return cascade(scores, u)


@njit
def position_based(user: Any, chances: Any, examined: Any, clicks: Any) -> int:
    """Every position by itself: examined and relevant (Richardson et al., 2007).

    Writes 1 or 0 into `clicks` (K,) and returns the last position clicked, or -1.
    """
    last = -1
    for k in range(chances.size):
        clicks[k] = 1.0 if uniform(user) < examined[k] * chances[k] else 0.0
        if clicks[k] > 0.0:
            last = k
    return last


@njit
def dependent_click(user: Any, chances: Any, go_on: Any, clicks: Any) -> int:
    """Positions in order; after a click at l the user goes on with chance go_on[l].

    The dependent click model (Guo et al., 2009).

    Writes 1 or 0 into `clicks` (K,) and returns the last position clicked, or -1.
    """
    last, looking = -1, True
    for k in range(chances.size):
        relevant, goes_on = uniform(user) < chances[k], uniform(user) < go_on[k]
        clicks[k] = 1.0 if looking and relevant else 0.0
        if clicks[k] > 0.0:
            last = k
            looking = goes_on
    return last
