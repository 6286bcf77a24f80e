"""RLlib's sample batches as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.doors.formats.rows import json_lines, needed, steps_of
from offpolicy import LoggedDataset


def read(path: Path) -> LoggedDataset:
    """Episodes (`eps_id`) of discrete `actions`, `rewards`, and `action_prob` or `action_logp`; the
    observations are the context.

    Raises ValueError for batches of other columns, and for compressed observations.
    """
    batches = [batch for _, batch in json_lines(path)]
    for batch in batches:
        needed(batch, ("eps_id", "actions", "rewards"), path)

    def column(name: str) -> Any:
        if any(name not in batch for batch in batches):
            return None
        packed = [batch for batch in batches if isinstance(batch[name], str)]
        if packed:
            raise ValueError(f"{path}: {name} is compressed; write it with compress_columns=[]")
        return np.concatenate([np.asarray(batch[name]) for batch in batches])

    session, logp, done = column("eps_id"), column("action_logp"), column("terminateds")
    step = column("t")
    obs = column("obs")
    actions = column("actions")
    return LoggedDataset.from_columns(
        session=session,
        step=steps_of(session) if step is None else step,
        slate=actions,
        propensity=column("action_prob") if logp is None else np.exp(logp),
        reward=column("rewards"),
        terminated=column("dones") if done is None else done,
        truncated=column("truncateds"),
        context=None if obs is None else obs.reshape(len(session), -1),
        n_items=int(actions.max()) + 1,
    )
