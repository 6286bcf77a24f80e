"""A registry whose live version served a log."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from offpolicy import GateRule, LoggedDataset
from policies import Exploration, Policy, ScorePolicy, act, save
from policies.baselines.popularity import Popularity
from serving import Registry
from serving.relearning.relearn import Terms
from tests.factories import make_observation, make_serving

TERMS = Terms(rule=GateRule(min_ess=20))
ITEMS, STEPS = 6, 3
PAYS = np.linspace(0.1, 0.9, ITEMS)  # chance that the user takes the item


@cache
def served(sessions: int = 1_200, seed: int = 0) -> tuple[Policy, LoggedDataset]:
    """A policy that likes what pays a little, and sessions that it served, two a user."""
    serving = make_serving(ITEMS, slate_size=1)
    policy = ScorePolicy(Popularity(serving, np.exp(PAYS)), Exploration(temperature=1.0))
    rng = np.random.default_rng(seed)
    items = np.full((sessions, serving.history_length), -1, np.int32)
    rows = []
    for step in range(STEPS):
        chosen = act(policy, make_observation(items), rng)
        taken = rng.random(sessions) < PAYS[chosen.slate[:, 0]]
        item = np.where(taken, chosen.slate[:, 0], -1).astype(np.int32)
        items = np.where(taken[:, None], np.concatenate([items[:, 1:], item[:, None]], 1), items)
        rows.append(
            {
                "session": np.arange(sessions),
                "user": np.arange(sessions) // 2,
                "step": np.full(sessions, step),
                "slate": chosen.slate,
                "propensity": chosen.propensity,
                "position_propensity": chosen.position_propensity,
                "consumed": item,
                "responses": taken[:, None].astype(np.float32),
                "reward": taken.astype(np.float64),
                "position_reward": taken[:, None].astype(np.float64),
                "terminated": np.full(sessions, step == STEPS - 1),
                "truncated": np.zeros(sessions, bool),
                "context": np.zeros((sessions, 1), np.float32),
            }
        )
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return policy, LoggedDataset.from_columns(n_items=ITEMS, **columns)


def registry_of(folder: Path, policy: Policy) -> Registry:
    """A registry where the policy is live."""
    save(policy, folder / "champion")
    registry = Registry(folder / "registry")
    registry.promote(registry.add(folder / "champion"), by="ann")
    return registry


def named(log: LoggedDataset, version: str | np.ndarray[Any, Any]) -> LoggedDataset:
    """The log, whose rows say which version served them."""
    return LoggedDataset.from_columns(
        n_items=log.n_items, **log.columns() | {"logger": np.broadcast_to(version, len(log))}
    )
