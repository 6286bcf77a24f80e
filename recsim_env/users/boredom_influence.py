"""Boredom and influence: SARDINE's users whom clicks also change (see `boredom`).

Each click moves the interests 5 % of the way to the mean of what was clicked (Deffayet et al.,
2024, arXiv 2311.16586). Planning pays about as much as under boredom alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from recsim_env.users import boredom


@dataclass(frozen=True, slots=True, kw_only=True)
class BoredomInfluenceConfig(boredom.BoredomConfig):
    """SARDINE's constants with influence."""

    influence: float = 0.95


MODEL = replace(boredom.MODEL, config=BoredomInfluenceConfig)
