"""Served worlds of known parameters, and logs of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env import Catalogue, Population
from recsim_env.calibration.served.fit import principal
from recsim_env.calibration.served.log import ServedLog
from recsim_env.calibration.world import FittedWorld
from recsim_env.users.served import ServedConfig

ITEMS, TOPICS, DIMS = 40, 4, 4
PLANTED = {
    "no_choice": 0.5, "follow": 0.0, "dull": 0.6, "keep": 0.9, "pay_spread": 0.2, "pay_low": 0.0,
    "pay_high": 9.0, "leave_base": -2.2, "leave_idle": 0.15, "strain_keep": 0.8,
}  # fmt: skip


def planted(persons: int = 2000, *, taste: float = 1.0, **coefficients: Any) -> FittedWorld:
    """Items that differ in appeal, pay and what they do to leaving; quality is a response."""
    rng = np.random.default_rng(0)
    topics = np.arange(ITEMS) % TOPICS
    features = principal(np.eye(TOPICS)[topics] + 0.4 * rng.normal(size=(ITEMS, TOPICS)), DIMS)
    quality = rng.random(ITEMS)
    response = np.column_stack([np.ones(ITEMS), np.linspace(2, 4, ITEMS), quality])
    columns = {
        "appeal": centred(0.7 * rng.normal(size=ITEMS)),
        "pay": np.linspace(2, 4, ITEMS),
        "departure": centred(-1.5 * quality),
        "response": response,
    }
    dims = features.shape[1]
    traits = {
        "level": np.zeros(persons), "purse": np.zeros(persons), "patience": np.zeros(persons),
        "position": np.array([0.0, -0.3, -0.6]), "slope": np.array([0.0, 1.0, 0.0]),
        "spread": np.zeros(3), "low": np.array([1.0, 0.0, 0.0]), "high": np.array([1.0, 9.0, 1.0]),
    }  # fmt: skip
    return FittedWorld(
        model="served",
        config=ServedConfig(**PLANTED | coefficients),
        catalogue=Catalogue.of(topics, vectors=features, n_topics=TOPICS, columns=columns),
        population=Population(
            interests=(taste * rng.normal(size=(persons, dims))).astype(np.float32), traits=traits
        ),
        serving={"slate_size": 3, "n_candidates": None, "history_length": 5, "max_steps": 40},
    )


def centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean()


def uniform_log(world: FittedWorld, users: int, *, seed: int, max_steps: int = 40) -> ServedLog:
    """One session of each user, served uniform slates of the whole catalogue."""
    env = world.make_vec(users, max_steps=max_steps)
    env.reset(seed=seed)
    rng, going, rows = np.random.default_rng(seed), np.ones(users, bool), []
    for t in range(max_steps):
        slates = np.argsort(rng.random((users, ITEMS)), axis=1)[:, :3]
        _, reward, left, cut, infos = env.step(slates)
        who = np.flatnonzero(going)
        seen = (slates, infos["consumed"], reward, left, infos["responses"])
        rows.append((who, np.full(len(who), t), *(x[who] for x in seen)))
        going &= ~(left | cut)
    session, step, slate, consumed, reward, left, responses = map(
        np.concatenate, zip(*rows, strict=True)
    )
    return ServedLog.of(
        session=session, step=step, slate=slate, consumed=consumed, reward=reward, left=left,
        responses=responses, n_items=ITEMS, max_steps=max_steps,
    )  # fmt: skip
