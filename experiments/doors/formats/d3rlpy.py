"""d3rlpy's flat arrays (npz): observations, actions, rewards, terminals, timeouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.doors.formats.rows import arrays, needed, steps_of
from offpolicy import LoggedDataset


def read(path: Path) -> LoggedDataset:
    """An episode ends where `terminals` or `timeouts` says so. The probability of each action must
    stand beside them as `propensity`: d3rlpy logs none, and none is made up.

    Raises ValueError for a file without it, or without one of the arrays.
    """
    flat = arrays(path)
    needed(flat, ("observations", "actions", "rewards", "terminals", "propensity"), path)
    terminal = np.asarray(flat["terminals"]).ravel() > 0
    timeout = np.asarray(flat.get("timeouts", np.zeros(len(terminal)))).ravel() > 0
    ends = terminal | timeout
    session = np.r_[0, np.cumsum(ends)[:-1]]
    actions = np.asarray(flat["actions"]).reshape(len(session), -1)
    return LoggedDataset.from_columns(
        session=session,
        step=steps_of(session),
        slate=actions,
        propensity=np.asarray(flat["propensity"]).ravel(),
        reward=np.asarray(flat["rewards"]).ravel(),
        terminated=terminal,
        truncated=timeout & ~terminal,
        context=np.asarray(flat["observations"]).reshape(len(session), -1),
        n_items=int(actions.max()) + 1,
    )
