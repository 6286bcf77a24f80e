"""The last look at what a policy drew: one row that the decision log refuses would keep all others
from being joined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.checks import check_items, check_numbers, check_propensities
from policies.base import Decision
from policies.observation import Serving


def check_drawn(
    chosen: Decision,
    serving: Serving,
    candidates: NDArray[np.int32] | None,
    table: NDArray[np.float64] | None,
) -> None:
    """Raise ValueError where B slates are not of K places, and LogError for what the log would
    refuse: items not on offer (B, C) or twice, propensities and a table (B, C) that are no
    probabilities."""
    shape = (len(chosen.slate), serving.slate_size)
    if chosen.slate.shape != shape:
        raise ValueError(f"the policy drew slates of shape {chosen.slate.shape}, not {shape}")
    columns: dict[str, NDArray[Any]] = {
        "slate": chosen.slate,
        "propensity": chosen.propensity,
        "position_propensity": chosen.position_propensity,
    }
    if candidates is not None:
        columns["candidates"] = candidates
    if table is not None:
        columns["candidate_propensity"] = table
    check_items(columns, serving.n_items, repeats=False)
    check_propensities(columns, "logged")
    check_numbers(columns, serving.n_items)
