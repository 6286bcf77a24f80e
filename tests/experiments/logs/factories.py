"""Logs in the words of somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.factories import make_observation

SONGS = ["waltz", "aria", "étude", "fugue", "ballad", "reel"]
GAINS = np.array([0.2, 0.9, 0.4, 0.1, 0.6, 0.3])
COLUMNS = (
    "session=visit", "step=nth", "slate=first,second", "propensity=p", "reward=minutes",
    "terminated=left", "consumed=played", "responses=minutes",
)  # fmt: skip


def foreign(path: Path, n: int = 1500, seed: int = 0, policy: Any = None) -> Path:
    """Visits of two decisions: uniform slates of two of six songs, or those of a policy, which
    pay by their first; all ids are text."""
    rng = np.random.default_rng(seed)
    rows = 2 * n
    if policy is None:
        slate = rng.random((rows, 6)).argsort(1)[:, :2]
        p = np.full(rows, 1 / 30)
    else:  # a policy of no state: any row is served alike
        d = policy.distribution(one_row(policy, rows))
        slate = d.sample(rng)
        p = d.prefix(slate)[:, -1]
    names = np.array(sorted(SONGS) if policy is not None else SONGS)
    gain = dict(zip(SONGS, GAINS, strict=True))
    shown = names[slate]
    table = pd.DataFrame(
        {
            "visit": [f"v{seed}-{i:05d}" for i in np.repeat(np.arange(n), 2)],
            "nth": np.tile([0, 1], n),
            "first": shown[:, 0],
            "second": shown[:, 1],
            "p": p,
            "minutes": np.array([gain[s] for s in shown[:, 0]]) + rng.normal(0, 0.3, rows),
            "left": np.tile([False, True], n),
            "played": shown[:, 0],
        }
    )
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


def one_row(policy: Any, rows: int) -> Any:
    return make_observation(np.full((rows, policy.serving.history_length), -1))
