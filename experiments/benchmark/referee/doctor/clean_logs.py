"""Clean logs of many shapes, none of which may be accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from experiments.benchmark.referee.doctor.exam import Exam, exam_of
from experiments.benchmark.referee.doctor.traffic import (
    ARMS,
    DAY,
    WIDTH,
    drawn,
    in_sessions,
    one_place,
    three_places,
)
from experiments.benchmark.referee.processes.bandits import LOGGERS, SHARES, draw, world
from experiments.benchmark.referee.processes.chains import debt
from experiments.benchmark.referee.processes.process import every_item, explore
from experiments.benchmark.referee.processes.sessions import draw as draw_sessions
from offpolicy import LoggedDataset, TargetScores

Shape = Callable[[np.random.Generator, int], Exam]


def closed(rng: np.random.Generator, n: int) -> Exam:
    """Rules close items; a third of the decisions were forced."""
    made = world(int(rng.integers(1 << 30)), "rate", 0.2, None, closed=True)
    tilt = np.where(made.open, rng.normal(size=made.target.shape), -np.inf)
    sample = draw(replace(made, target=explore(tilt, 0.1)), "rate", True, rng, n)
    return exam_of(sample.log, sample.scores)


def several_loggers(rng: np.random.Generator, n: int) -> Exam:
    """Three policies served the shares of the rows that were promised."""
    made = world(int(rng.integers(1 << 30)), "rate", 0.15, 0.05, loggers=3)
    sample = draw(made, "rate", True, rng, n)
    shares = dict(zip(LOGGERS, SHARES.tolist(), strict=True))
    return replace(exam_of(sample.log, sample.scores), expected_shares=shares)


def uniform(rng: np.random.Generator, n: int) -> Exam:
    """Every propensity is 1 / A, day after day."""
    x, every = rng.normal(size=(n, WIDTH)), np.arange(n)
    a, q = rng.integers(0, ARMS, n), explore(x @ rng.normal(size=(WIDTH, ARMS)), 0.1)
    log = LoggedDataset.from_columns(
        session=every, step=np.zeros(n, np.int64), slate=a, propensity=np.full(n, 1 / ARMS),
        reward=(rng.random(n) < 0.1 + 0.1 * (a < 4)).astype(float), n_items=ARMS, context=x,
    )  # fmt: skip
    scores = TargetScores(q[every, a], slates=every_item(n, ARMS), slate_weight=q)
    return replace(exam_of(log, scores), time=np.sort(rng.random(n)) * 10 * DAY)


def equal_contexts(rng: np.random.Generator, n: int) -> Exam:
    """Sessions in which the context is the user's, the same for every decision; items recur."""
    sessions = n // 5
    session, step = np.repeat(np.arange(sessions), 5), np.tile(np.arange(5), sessions)
    x = rng.normal(size=(sessions, WIDTH))[session]
    worth = x @ rng.normal(size=(WIDTH, 4))
    p, q, every = explore(0.6 * worth, 0.2), explore(worth, 0.1), np.arange(len(session))
    a = drawn(p, rng)
    log = LoggedDataset.from_columns(
        session=session, step=step, slate=a, propensity=p[every, a], n_items=4, context=x,
        reward=(rng.random(len(a)) < 0.2 + 0.1 * (worth[every, a] > 0)).astype(float),
        terminated=step == 4, candidate_propensity=p,
    )  # fmt: skip
    scores = TargetScores(q[every, a], slates=every_item(len(a), 4), slate_weight=q)
    return exam_of(log, scores, "per_decision")


def empty_places(rng: np.random.Generator, n: int) -> Exam:
    """Nothing at all, one item or two: what stays empty is the policy's choice."""
    size = drawn(np.tile([0.15, 0.35, 0.5], (n, 1)), rng)
    order = np.argsort(rng.random((n, ARMS)), axis=1)[:, :2]
    slate = np.where(np.arange(2) < size[:, None], order, -1)
    chance = np.array([1.0, 1 / ARMS, 1 / (ARMS * (ARMS - 1))])[size]
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, np.int64), slate=slate, n_items=ARMS,
        propensity=np.array([0.15, 0.35, 0.5])[size] * chance,
        reward=(rng.random(n) < 0.1 * (1 + size)).astype(float), context=rng.normal(size=(n, 2)),
    )  # fmt: skip
    return exam_of(log, TargetScores(np.array([0.05, 0.25, 0.7])[size] * chance))


def cut_sessions(rng: np.random.Generator, n: int) -> Exam:
    """The log stopped inside most sessions, and says so."""
    sample = draw_sessions(debt(0.4), "random", False, rng, n // 8)
    return exam_of(sample.log, sample.scores, "per_decision")


SHAPES: dict[str, Shape] = {
    "clicks": one_place,
    "clicks without the distribution": partial(one_place, whole=False),
    "rare clicks": partial(one_place, rate=-6.0),
    "lognormal amounts": partial(one_place, tail=True),
    "slates, whole propensity only": partial(three_places, places=False),
    "slates, first places' table": partial(three_places, places=False, table=True),
    "slates with places": partial(three_places, places=True),
    "rules and forced choices": closed,
    "constant propensities over days": uniform,
    "sessions": in_sessions,
    "equal contexts in a session": equal_contexts,
    "several loggers": several_loggers,
    "empty slates and places": empty_places,
    "cut sessions": cut_sessions,
}
