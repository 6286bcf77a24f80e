"""KuaiRand's logs of videos shown (CSV)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.doors.formats.rows import needed
from offpolicy import LoggedDataset, read_log
from offpolicy.storage.tables import read_table


def read(path: Path) -> LoggedDataset:
    """The videos that were shown at random (`is_rand` = 1), uniformly over those of the file, as
    single decisions; the reward is `is_click`, ids are those of the file. Gao et al. (2022).

    Raises ValueError for a file of other columns, or without random rows.
    """
    import pyarrow.compute as pc

    table = read_table(path, text=["user_id", "video_id"])
    needed(table.column_names, ("user_id", "video_id", "is_click", "is_rand"), path)
    table = table.filter(pc.equal(table["is_rand"], 1))
    if not table.num_rows:
        raise ValueError(f"{path} has no rows with is_rand = 1: only those have a propensity")
    n = len(pc.unique(table["video_id"]))
    rows = {
        "session": np.arange(table.num_rows),
        "step": np.zeros(table.num_rows, np.int32),
        "user": table["user_id"].to_numpy(),
        "slate": table["video_id"].to_numpy(),
        "reward": table["is_click"].to_numpy(),
        "propensity": np.full(table.num_rows, 1 / n),
    }
    return read_log(rows)
