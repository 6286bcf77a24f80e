"""What users had of one line against another: differences over the same users and visits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.run_folder import RunFolder
from experiments.common.truth import mean
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
    return {k: len(a) * v for k, v in asdict(mean(a - b, level)).items()}
