"""RecBole's atomic files of interactions (.inter)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.data.datasets import Interactions
from experiments.doors.formats.rows import interactions_of, needed

NEEDED = ("user_id:token", "item_id:token", "timestamp:float")


def read(path: Path) -> Interactions:
    """Tab-separated user_id:token, item_id:token, timestamp:float and, where it is there,
    rating:float.

    Raises ValueError for a file of other columns.
    """
    rows = pd.read_csv(path, sep="\t", dtype={"user_id:token": str, "item_id:token": str})
    needed(rows.columns, NEEDED, path)
    rating = rows["rating:float"].to_numpy() if "rating:float" in rows.columns else None
    user, item, time = (rows[name].to_numpy() for name in NEEDED)
    return interactions_of(path, user, item, time, rating)
