"""Logs and worlds to damage."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from experiments.reliability.flips.fingerprint import fingerprint
from offpolicy import LoggedDataset, append_log, read_log, write_log
from recsim_env.calibration.calibrate import calibrate
from recsim_env.calibration.world import FittedWorld

FILE = "log.parquet"
ITEMS, USERS = 30, 40


def make_log(folder: Path, seed: int) -> None:
    """Two parts, with names, responses and contexts."""
    write_log(_log(seed, 0), folder)
    append_log(_log(seed, 100), folder)


def log_contents(folder: Path) -> str:
    log = read_log(folder)
    names = {column: (t.ids, t.names) for column, t in log.names.items()}
    return fingerprint(log.hash(), names, log.max_steps, log.repeats, asdict(log.provenance))


def make_file(folder: Path, seed: int) -> None:
    """The same decisions in one file."""
    folder.mkdir()
    write_log(_log(seed, 0), folder / FILE)


def file_contents(folder: Path) -> str:
    return log_contents(folder / FILE)


def make_world(folder: Path, seed: int) -> None:
    """A world fitted to random histories."""
    rng = np.random.default_rng([seed, 1])
    histories = [rng.permutation(ITEMS)[: 8 + user % 5] for user in range(USERS)]
    calibrate(histories, ITEMS, dims=4, n_topics=3, first=3, seed=seed).save(folder)


def world_contents(folder: Path) -> str:
    world = FittedWorld.load(folder)
    env = world.make_vec(4, slate_size=3, n_candidates=8)
    obs, _ = env.reset(seed=0)
    slate = np.tile(np.arange(3), (4, 1))
    played = [env.step(slate)[:4] for _ in range(2)]
    c, p = world.catalogue, world.population
    return fingerprint(
        world.model, asdict(world.config), dict(world.serving), c.names, c.n_topics, c.topics,
        c.vectors, c.quality, c.length, c.clickbait, c.popularity, dict(c.columns), p.interests,
        p.first_items, p.first_responses, dict(p.traits), dict(obs),
        [(dict(o), *rest) for o, *rest in played],
    )  # fmt: skip


def _log(seed: int, first: int) -> LoggedDataset:
    rng = np.random.default_rng([seed, first])
    n, steps = 12, 3
    rows = n * steps
    return LoggedDataset.from_columns(
        session=np.array([f"s{first + i:04d}" for i in np.repeat(np.arange(n), steps)]),
        step=np.tile(np.arange(steps), n),
        slate=rng.integers(0, 9, (rows, 1)),
        propensity=rng.uniform(0.05, 0.5, rows),
        reward=rng.normal(size=rows),
        responses=rng.random((rows, 1)),
        consumed=np.zeros(rows, int),
        context=rng.normal(size=(rows, 2)),
        item_names=[f"item {i}" for i in range(9)],
        n_items=9,
    )
