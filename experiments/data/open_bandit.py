"""The Open Bandit sample as a decision log, and the other policy's scores on it.

Saito, Aihara, Matsutani & Narita (2021): two policies served the same page of three positions in
the same week, each with its true propensities logged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores

Campaign = Literal["all", "men"]
LoggingPolicy = Literal["random", "bts"]
POSITIONS = 3


def load_open_bandit(root: Path, *, campaign: Campaign, policy: LoggingPolicy) -> LoggedDataset:
    """One row per impression of one position: slate of one item, reward = click.

    `context` = position 1-3 one-hot, then the four hashed user features one-hot, then the user's
    affinities to the items. Impressions are independent sessions of one step, in time order.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: a column is missing.
    """
    import pandas as pd

    path = root / "open-bandit" / policy / campaign / f"{campaign}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing. Put the Open Bandit sample under {root / 'open-bandit'} as it is "
            "published, or point --data-root (or LONGPLAY_DATA) to the folder that holds it."
        )
    rows = pd.read_csv(path, index_col=0).sort_values("timestamp", kind="stable")
    needed = {"item_id", "position", "click", "propensity_score"} - set(rows.columns)
    if needed:
        raise ValueError(f"{path} has no column {', '.join(sorted(needed))}")
    position = rows["position"].to_numpy()[:, None] == np.arange(1, POSITIONS + 1)  # (N, 3)
    user = pd.get_dummies(rows.filter(regex="^user_feature_")).to_numpy(np.float32)
    affinity = rows.filter(like="affinity").to_numpy(np.float32)  # (N, A)
    number, size = len(rows), affinity.shape[1]
    return LoggedDataset.from_columns(
        session=np.arange(number),
        step=np.zeros(number, np.int32),
        slate=rows["item_id"].to_numpy(),
        propensity=rows["propensity_score"].to_numpy(),
        reward=rows["click"].to_numpy(),
        n_items=size,
        terminated=np.ones(number, np.bool_),
        logger=np.full(number, policy),
        context=np.hstack([position.astype(np.float32), user, affinity]),
    )


def positions(log: LoggedDataset) -> NDArray[np.int64]:
    """(N,) the position 0-2 that each row was shown at."""
    assert log.context is not None
    return np.asarray(log.context[:, :POSITIONS].argmax(axis=1))


def item_shares(log: LoggedDataset) -> NDArray[np.float64]:
    """(3, A) share of each item among the impressions of each position; rows sum to 1."""
    counts = np.zeros((POSITIONS, log.n_items))
    np.add.at(counts, (positions(log), log.slate[:, 0]), 1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def score_uniform(log: LoggedDataset) -> TargetScores:
    """The random policy on another's log: 1 / A for every item, which is exact."""
    every = np.broadcast_to(np.arange(log.n_items, dtype=np.int32), (len(log), log.n_items))
    return TargetScores(np.full(len(log), 1 / log.n_items), slates=every[:, :, None])


def score_shares(
    log: LoggedDataset, shares: NDArray[np.float64], *, draws: int = 100, seed: int = 0
) -> TargetScores:
    """A policy known by its item shares per position: probability of each logged item, and draws.

    Args:
        shares: (3, A) as `item_shares` gives them.
        draws: independent items drawn on each row, for reward models.
    """
    rng, where = np.random.default_rng(seed), positions(log)
    drawn = np.empty((len(log), draws, 1), np.int32)
    for position in range(POSITIONS):
        rows = np.flatnonzero(where == position)
        size = (len(rows), draws, 1)
        drawn[rows] = rng.choice(log.n_items, size=size, p=shares[position])
    return TargetScores(shares[where, log.slate[:, 0]], slates=drawn)
