"""Boredom and influence: SARDINE's users whom clicks also change (see `boredom`).

Each click moves the interests 5 % of the way to the mean of what was clicked (Deffayet et al.,
2024, arXiv 2311.16586). Planning pays about as much as under boredom alone. `as_published` has the
original's scalar mean: interests flatten, relevance fades below 1, and so five clicks in a row grow
rarer: the immediate-greedy oracle then earns 50.6 instead of 50.0.

    interests          = influence interests + (1 - influence) mean of what was clicked, at length 1

With slates of 10 from the whole catalogue the two means differ more. Under the scalar mean uniform
slates earn 41.2 ± 0.5 and the greedy oracle 150.6 ± 1.9 (standard errors), as SARDINE's own code
does (42.5 ± 0.6 and 146.5 ± 2.8); under the vector mean of the paper, the default, 50.1 ± 0.4 and
137.2 ± 1.1. Whoever compares with SARDINE takes `as_published`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from recsim_env.users import boredom


@dataclass(frozen=True, slots=True, kw_only=True)
class BoredomInfluenceConfig(boredom.BoredomConfig):
    """SARDINE's constants with influence."""

    influence: float = 0.95


def as_published() -> BoredomInfluenceConfig:
    """SingleItem-BoredInf with the original's scalar mean of what was clicked."""
    return BoredomInfluenceConfig(scalar_mean=True)


MODEL = replace(boredom.MODEL, config=BoredomInfluenceConfig)
