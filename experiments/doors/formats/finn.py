"""FINN.no's slates (npz): what users clicked, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.data.datasets import Interactions
from experiments.doors.formats.rows import arrays, interactions_of, needed

NO_ITEM = 2  # 0 is padding, 1 "no click"


def read(path: Path) -> Interactions:
    """The clicks `click` (U, T) of users `userId` (U,) as interactions; the slates have no
    propensities, so that no log is made of them. Eide et al. (2021).

    Raises ValueError for a file of other arrays.
    """
    flat = arrays(path)
    needed(flat, ("userId", "click"), path)
    click = np.asarray(flat["click"])
    user, place = np.nonzero(click >= NO_ITEM)
    return interactions_of(path, np.asarray(flat["userId"])[user], click[user, place], place)
