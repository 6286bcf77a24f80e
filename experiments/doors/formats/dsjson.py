"""VowpalWabbit's decision-service JSON lines (dsjson) of contextual bandits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.doors.formats.rows import json_lines
from offpolicy import LoggedDataset


def read(path: Path) -> LoggedDataset:
    """One decision a line: `a` are the actions offered, numbered from 1, the served one first, `p`
    their probabilities; the reward is minus `_label_cost`. Lines that were kept with a chance
    (`pdrop`) weigh 1 / (1 - pdrop). Items are the actions' numbers.

    Raises ValueError, which names the line, for one that is no such decision.
    """
    rows = [_decision(row, where) for where, row in json_lines(path)]
    n = max((max(row["a"]) for row in rows), default=1)
    drop = np.array([float(row.get("pdrop", 0.0)) for row in rows])
    return LoggedDataset.from_columns(
        session=[str(row.get("EventId", at)) for at, row in enumerate(rows)],
        step=np.zeros(len(rows), np.int32),
        slate=[row["a"][0] - 1 for row in rows],
        propensity=[row["p"][0] for row in rows],
        reward=[-float(row["_label_cost"]) for row in rows],
        candidates=[[a - 1 for a in row["a"]] for row in rows],
        candidate_propensity=[row["p"] for row in rows],
        row_weight=1 / (1 - drop) if drop.any() else None,
        n_items=n,
        item_names=[str(a + 1) for a in range(n)],
    )


def _decision(row: Any, where: str) -> dict[str, Any]:
    lost = [
        name for name in ("_label_cost", "a", "p") if not isinstance(row, dict) or name not in row
    ]
    if lost:
        raise ValueError(f"{where} lacks {', '.join(lost)}; join outcomes with decisions first")
    if not row["a"] or len(row["a"]) != len(row["p"]):
        raise ValueError(f"{where}: a has {len(row['a'])} actions, p {len(row['p'])} probabilities")
    return dict(row)
