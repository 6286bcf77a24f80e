"""Honest traffic that the doctor sees, whole or damaged: one place, slates, sessions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.benchmark.referee.doctor.exam import Exam, exam_of
from experiments.benchmark.referee.processes.chains import drifting
from experiments.benchmark.referee.processes.process import F64, I64, every_item, explore
from experiments.benchmark.referee.processes.sessions import draw as draw_sessions
from offpolicy import LoggedDataset, TargetScores

ARMS, WIDTH, DAY = 14, 4, 86_400.0


def drawn(table: F64, rng: np.random.Generator) -> I64:
    """(N,) one column of each row."""
    below = rng.random((len(table), 1)) >= table.cumsum(1)
    last = table.shape[1] - 1 - (table[:, ::-1] > 0).argmax(1)
    return np.asarray(np.minimum(below.sum(1), last), np.int64)


def one_place(
    rng: np.random.Generator, n: int, *, rate: float = -1.4, tail: bool = False, whole: bool = True
) -> Exam:
    """Clicks (or amounts) of users seen about eight times each over ten days, on two platforms.

    The last column of the context is the platform; `whole`: the logger's distribution is logged.
    """
    x = rng.normal(size=(n, WIDTH))
    phone = (rng.random(n) < 0.35).astype(np.float64)
    worth = 0.5 * x @ rng.normal(size=(WIDTH, ARMS)) + 0.3 * rng.normal(size=ARMS)
    p = explore(0.9 * worth + 0.3 * rng.normal(size=ARMS), 0.15)
    q = explore(1.5 * worth, 0.05)
    a, every = drawn(p, rng), np.arange(n)
    level = 1 / (1 + np.exp(-(rate + 0.8 * worth[every, a] - 0.2 * phone)))
    paid = level * np.exp(1.8 * rng.normal(size=n)) if tail else rng.random(n) < level
    log = LoggedDataset.from_columns(
        session=every, step=np.zeros(n, np.int64), slate=a, propensity=p[every, a],
        reward=paid.astype(np.float64), n_items=ARMS, user=rng.integers(0, n // 8, n),
        context=np.concatenate([x, phone[:, None]], axis=1),
        candidate_propensity=p if whole else None,
    )  # fmt: skip
    scores = TargetScores(q[every, a], slates=every_item(n, ARMS), slate_weight=q)
    exam = exam_of(log, scores)
    return Exam(exam.columns, ARMS, scores, time=_clock(rng, n), event_id=every)


def _clock(rng: np.random.Generator, n: int) -> F64:
    return np.asarray(np.sort(rng.random(n)) * 10 * DAY)


def three_places(rng: np.random.Generator, n: int, *, places: bool, table: bool = False) -> Exam:
    """Plackett-Luce slates of three, the item that was taken, and what each place earned.

    `places`: the places' probabilities and rewards are logged; `table`: those of the first place.
    """
    x = rng.normal(size=(n, WIDTH))
    worth = 0.5 * x @ rng.normal(size=(WIDTH, ARMS))
    habit, lean = worth + 0.4 * rng.normal(size=ARMS), 1.4 * worth
    slate = np.argsort(-(habit + rng.gumbel(size=habit.shape)), axis=1)[:, :3]
    p, q = in_order(habit, slate), in_order(lean, slate)
    every = np.arange(n)
    attract = np.exp(worth[every[:, None], slate] - 1.2)
    taken = drawn(
        np.concatenate([np.ones((n, 1)), attract], 1) / (1 + attract.sum(1))[:, None], rng
    )
    paid = np.zeros((n, 3))
    paid[taken > 0, taken[taken > 0] - 1] = 1.0
    first = np.exp(habit - habit.max(1, keepdims=True))
    log = LoggedDataset.from_columns(
        session=every, step=np.zeros(n, np.int64), slate=slate, propensity=p.prod(1),
        reward=paid.sum(1), n_items=ARMS, context=x,
        position_propensity=p if places else None, position_reward=paid if places else None,
        consumed=np.where(taken > 0, slate[every, np.maximum(taken - 1, 0)], -1),
        responses=paid.sum(1)[:, None],
        candidate_propensity=first / first.sum(1, keepdims=True) if table else None,
    )  # fmt: skip
    shown = [np.argsort(-(lean + rng.gumbel(size=lean.shape)), 1)[:, :3] for _ in range(4)]
    slates = np.stack(shown, axis=1).astype(np.int32)
    exam = exam_of(log, TargetScores(q.prod(1), q if places else None, slates=slates))
    return Exam(exam.columns, ARMS, exam.scores, time=_clock(rng, n), event_id=every)


def in_order(logits: F64, slate: I64) -> F64:
    """(N, K) probability of each place given those above."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    own = np.take_along_axis(e, slate, axis=1)
    above = np.cumsum(own, axis=1) - own
    return np.asarray(own / (e.sum(1, keepdims=True) - above))


def in_sessions(rng: np.random.Generator, n: int) -> Exam:
    """About N decisions in sessions of up to ten, minutes apart, whose users drift."""
    chain = drifting(int(rng.integers(1 << 30)), steps=10, leave=0.1, relative=None, far=0.0)
    tilt = explore(np.log(chain.logging) + 0.4 * rng.normal(size=chain.logging.shape), 0.1)
    sample = draw_sessions(replace(chain, target=tilt), "no", True, rng, n // 6)
    log = sample.log
    begin = rng.random(log.n_sessions) * 9 * DAY
    time = begin[log.sessions] + 60.0 * log.step + 20 * rng.random(len(log))
    exam = exam_of(log, sample.scores, "per_decision")
    return Exam(
        exam.columns, exam.n_items, exam.scores, "per_decision", time=time, event_id=exam.event_id
    )
