"""What users had of one line against another: differences over the same users and visits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.run_folder import RunFolder
from experiments.live.lines import Name, day_folder
from experiments.live.settings import Settings

F64 = NDArray[np.float64]
Record = dict[str, Any]


def totals(settings: Settings, run: RunFolder, line: Name, days: Sequence[int]) -> F64:
    """(U,) reward of each user over some days of a line."""
    total = np.zeros(settings.users)
    for day in days:
        folder = day_folder(settings, run, line, day)
        played = json.loads((folder / "line.json").read_text(encoding="utf-8"))["played"]
        np.add.at(total, np.array(played["user"], np.int64), np.array(played["value"], np.float64))
    return total


def total_difference(a: F64, b: F64, level: float) -> Record:
    """What all users (U,) had more of a than of b, with a normal interval over the users."""
    d = a - b
    wide = NormalDist().inv_cdf(0.5 + level / 2) * float(d.std(ddof=1)) * len(d) ** 0.5
    value = float(d.sum())
    return {"value": value, "low": value - wide, "high": value + wide}


def ratio(a: F64, b: F64, level: float) -> Record:
    """Mean of a over mean of b on the same users (U,), with its interval by the delta method."""
    value = float(a.mean() / b.mean())
    spread = (a - value * b) / b.mean()
    wide = NormalDist().inv_cdf(0.5 + level / 2) * float(spread.std(ddof=1)) / len(a) ** 0.5
    return {"value": value, "low": value - wide, "high": value + wide}
