"""Who may be served what: groups of users by age and region, and the flags of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users alike in what they may be served."""

    share: float  # of all sessions, relative to the other groups
    age: int = 99  # years
    region: int = 0  # 0..R-1
    sponsored: bool = True  # whether they may be served what is paid for

    def __post_init__(self) -> None:
        if not self.share > 0 or not np.isfinite(self.share):
            raise ValueError(f"share = {self.share}: a group needs a share above 0")


def eligible_items(
    groups: Sequence[Group],
    n_items: int,
    *,
    min_age: ArrayLike | None = None,
    regions: ArrayLike | None = None,
    sponsored: ArrayLike | None = None,
) -> NDArray[np.bool_]:
    """Which items each group may be served (G, A).

    min_age: years (A,) from which an item may be served. regions: (A, R) bool, where an item may be
    served. sponsored: (A,) bool, the items somebody pays for. What is left out forbids nothing.

    Raises ValueError on shapes that do not fit, and on a region that `regions` does not know.
    """
    ages = np.zeros(n_items) if min_age is None else np.asarray(min_age)
    paid = np.zeros(n_items, np.bool_) if sponsored is None else np.asarray(sponsored, np.bool_)
    last = max(group.region for group in groups)
    here = np.ones((n_items, last + 1)) if regions is None else np.asarray(regions)
    if ages.shape != (n_items,) or paid.shape != (n_items,) or len(here) != n_items:
        raise ValueError(
            f"min_age {ages.shape}, regions {here.shape} and sponsored {paid.shape} must have one "
            f"row for each of the {n_items} items"
        )
    if here.ndim != 2 or here.shape[1] <= last or min(group.region for group in groups) < 0:
        raise ValueError(f"regions {here.shape} must be ({n_items}, R) with every group's region")
    rows = [
        (ages <= g.age) & here[:, g.region].astype(np.bool_) & (g.sponsored | ~paid) for g in groups
    ]
    return np.stack(rows)
