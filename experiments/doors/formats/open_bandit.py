"""Open Bandit Pipeline: feedback dictionaries and (n, A, L) action distributions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from experiments.doors.formats.rows import arrays, needed
from offpolicy import LoggedDataset, TargetScores

NEEDED = ("n_actions", "action", "reward", "pscore")


def log_of_feedback(feedback: Mapping[str, Any]) -> LoggedDataset:
    """n rounds as single decisions; `context` is kept where it is there.

    Raises ValueError for a feedback without action, reward, pscore or n_actions.
    """
    needed(feedback, NEEDED, Path("the feedback"))
    rows = np.arange(len(feedback["action"]))
    return LoggedDataset.from_columns(
        session=rows,
        step=np.zeros(len(rows), np.int32),
        slate=feedback["action"],
        propensity=feedback["pscore"],
        reward=feedback["reward"],
        n_items=int(feedback["n_actions"]),
        context=feedback.get("context"),
    )


def scores_of_distribution(feedback: Mapping[str, Any], action_dist: ArrayLike) -> TargetScores:
    """A target's probability of each logged action, of its distribution (n, A, L) by position.

    Raises ValueError for a distribution of another shape.
    """
    dist, action = np.asarray(action_dist, np.float64), np.asarray(feedback["action"])
    if dist.ndim != 3 or dist.shape[:2] != (len(action), int(feedback["n_actions"])):
        raise ValueError(
            f"action_dist has shape {dist.shape}; it is (n, A, L) = ({len(action)}, "
            f"{feedback['n_actions']}, positions)"
        )
    given = feedback.get("position")
    place = np.zeros(len(action), int) if given is None else np.asarray(given)
    chance = dist[np.arange(len(action)), action, place]
    return TargetScores(chance, chance[:, None])


def read(path: Path) -> LoggedDataset:
    """A feedback dictionary that numpy.savez wrote."""
    return log_of_feedback(arrays(path))
