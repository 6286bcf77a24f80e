"""`longplay calibrate --log`: fit a world to a log of served slates and judge it on other sessions.

Fitted to a part of the sessions and judged on the others, then fitted to all and saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.calibrate.served_log import by_logger, served_log
from experiments.common.show import Show
from experiments.common.truth import rank_correlation
from offpolicy import LoggedDataset
from recsim_env.calibration.served.fit import Items, fit_parts, items_of, world_of
from recsim_env.calibration.served.log import FEWEST_SESSIONS, ServedLog
from recsim_env.calibration.served.replay import Sessions, logged, replayed
from recsim_env.calibration.served.scores import Calibration, Score, scores
from recsim_env.calibration.spread import Spread, spread, with_take_rate
from recsim_env.calibration.world import FittedWorld

TRIED = 0.2  # of the sessions judge the fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a world is fitted with."""

    features: NDArray[np.floating] | None = None  # (A, F) of the items
    topics: NDArray[np.integer] | None = None  # (A,)
    history_length: int = 20
    dims: int = 16
    n_topics: int = 20
    simulated: int = 1000  # sessions
    take_rate: float | None = None
    seed: int = 0
    """Of the random numbers."""


class Logger(NamedTuple):
    """One logging policy: what its sessions earned, and what its slates earn in the world."""

    name: str
    logged: Sessions
    simulated: Sessions


class Judged(NamedTuple):
    """A fitted world and what is known of its faults."""

    world: FittedWorld
    scores: list[Score]
    calibration: Calibration
    held: Sessions  # held-out sessions of the log
    simulated: Sessions  # of the world fitted to the others, shown their slates
    loggers: list[Logger]
    spread: Spread

    @property
    def rank_correlation(self) -> float | None:
        """Of loggers' values in the log and in the world (Spearman); None of fewer than 3."""
        if len(self.loggers) < 3:
            return None
        real = np.array([x.logged.returns.mean() for x in self.loggers])
        return rank_correlation(real, np.array([x.simulated.returns.mean() for x in self.loggers]))


def fit_and_judge(log: LoggedDataset, fit: Fit, show: Show) -> Judged:
    """The world of all sessions, and what the world of four fifths of them says of the others.

    Raises:
        ValueError: too few sessions to fit to some and judge by the others.
    """
    served = served_log(log)
    if served.n_sessions * TRIED < FEWEST_SESSIONS:
        raise ValueError(
            f"{served.n_sessions} sessions: a world needs at least {round(FEWEST_SESSIONS / TRIED)}"
        )
    held, others = served.halves(TRIED, fit.seed)
    with show.stage(f"fit to {others.n_sessions:,} of {served.n_sessions:,} sessions"):
        items = items_of(
            others, fit.features, fit.topics, dims=fit.dims, n_topics=fit.n_topics, seed=fit.seed
        )
        parts = fit_parts(others, items, seed=fit.seed)
    with show.stage(f"judge by the other {held.n_sessions:,}"):
        known, chances = scores(parts, others, held)
        judged = world_of(others, parts, history_length=fit.history_length)
        fake = replayed(judged, held, fit.simulated, fit.seed + 1)
        loggers = [
            Logger(name, logged(own), replayed(judged, own, fit.simulated, fit.seed + 2))
            for name, part in by_logger(log, FEWEST_SESSIONS).items()
            for own in [served_log(part)]
        ]
    with show.stage("fit to all sessions"):
        world = final(served, items, log, fit)
        seen = spread(world, users=fit.simulated, seed=fit.seed + 3)
    return Judged(world, known, chances, logged(held), fake, loggers, seen)


def final(served: ServedLog, items: Items, log: LoggedDataset, fit: Fit) -> FittedWorld:
    """The world of all sessions, at the take rate that was asked for."""
    parts = fit_parts(served, items, seed=fit.seed)
    named = "item" in log.names
    names = tuple(log.names_of("item", np.arange(log.n_items))) if named else None
    world = world_of(served, parts, names=names, history_length=fit.history_length)
    return world if fit.take_rate is None else with_take_rate(world, fit.take_rate, seed=fit.seed)


def read_features(path: Path | None) -> NDArray[np.floating] | None:
    """Features (A, F) of a .npy file."""
    return None if path is None else np.asarray(np.load(path, allow_pickle=False))


def read_topics(path: Path | None) -> NDArray[np.integer] | None:
    """Topics (A,), numbered, of a file with one a line in the order of the items' ids."""
    if path is None:
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    return np.unique(lines, return_inverse=True)[1].astype(np.int32)
