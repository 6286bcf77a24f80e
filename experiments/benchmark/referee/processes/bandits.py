"""Bandits with contexts: rates from 50 % to .1 %, heavy tails, closed items, several loggers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from experiments.benchmark.referee.processes.process import (
    F64,
    I64,
    Draw,
    Flags,
    Process,
    Truth,
    every_item,
    explore,
    pick,
    sharpness,
)
from offpolicy import LoggedDataset, TargetScores

Pay = Literal["rate", "lognormal", "pareto"]
CONTEXTS, ARMS, WIDTH = 250, 8, 4
SHARP, OWN = 1.0, 0.5  # spread of the logger's habits, and of the target's own leanings
SIGMA, ALPHA = 1.8, 2.2  # of lognormal and Pareto rewards
LOGGERS = ("old", "new", "trial")  # names of the policies that served, where there are several
SHARES = np.array([0.6, 0.3, 0.1])  # of the rows, where three policies served
VISITS = np.array([0.5, 5.0])  # mean decisions of a user beyond the first: light and heavy users


@dataclass(frozen=True, slots=True)
class Bandit:
    """M contexts, A arms; everything about it is a table."""

    x: F64  # (M, D) what is logged of a context
    loggers: F64  # (L, M, A) of each logging policy
    share: F64  # (L,) of the rows
    target: F64  # (M, A)
    mean: F64  # (M, A) of the reward
    chance: F64  # (M,) of a decision to meet the context
    open: Flags  # (M, A) what may be shown

    def value(self, table: F64) -> float:
        """Expected reward of a decision."""
        return float(self.chance @ (table * self.mean).sum(1))

    def logged(self) -> float:
        """The same of the logging policies together."""
        return float(sum(s * self.value(p) for s, p in zip(self.share, self.loggers, strict=True)))


def world(
    seed: int,
    pay: Pay,
    rate: float,
    relative: float | None,
    *,
    loggers: int = 1,
    closed: bool = False,
    pilot: bool = False,
) -> Bandit:
    """A world whose target earns `relative` more than its logger; None: the target is the logger.

    Arms are worth what a linear and a wavy function of the context say; the logger knows a noisy
    part of it, the target leans on another noisy part as far as the uplift asks for. `pilot`: two
    arms are hardly ever shown by the logger, and much more by the target.
    """
    rng = np.random.default_rng([seed, 41])
    x = rng.normal(size=(CONTEXTS, WIDTH))
    worth = x @ rng.normal(size=(WIDTH, ARMS)) / 2 + 0.6 * np.cos(
        x @ rng.normal(size=(WIDTH, ARMS))
    )
    open_ = _closed_items(rng) if closed else np.ones((CONTEXTS, ARMS), bool)
    shut = np.where(open_, 0.0, -np.inf)
    habits = [x @ rng.normal(size=(WIDTH, ARMS)) * SHARP / WIDTH**0.5 for _ in range(loggers)]
    tables = np.stack([explore(h + 0.2 * worth + shut, 0.1) for h in habits])
    lean = 0.3 * habits[0] + OWN * rng.normal(size=(CONTEXTS, ARMS)) + shut
    if pilot:
        shy = np.where(np.arange(ARMS) < 2, 1.0, 0.0)
        tables = np.stack([explore(0.3 * h - 3.0 * shy + shut, 0.01) for h in habits])
        lean = lean - 0.3 * shy
    share = np.ones(1) if loggers == 1 else SHARES[:loggers] / SHARES[:loggers].sum()
    even = np.full(CONTEXTS, 1 / CONTEXTS)
    bandit = Bandit(x, tables, share, tables[0], worth, even, open_)
    bandit = replace(bandit, mean=_means(bandit, worth, pay, rate))
    return bandit if relative is None else _with_uplift(bandit, lean, worth, relative)


def _closed_items(rng: np.random.Generator) -> Flags:
    """A third of the contexts leave one item, the others two or more."""
    size = np.where(rng.random(CONTEXTS) < 1 / 3, 1, rng.integers(2, ARMS + 1, CONTEXTS))
    return np.asarray(rng.random((CONTEXTS, ARMS)).argsort(1).argsort(1) < size[:, None])


def _means(bandit: Bandit, worth: F64, pay: Pay, rate: float) -> F64:
    """Means of the rewards: rates whose mean under the logger is `rate`, or amounts."""
    if pay != "rate":
        return np.asarray(np.exp(0.5 * worth))

    def rates(level: float) -> F64:
        return np.asarray(1 / (1 + np.exp(-level - worth)))

    def gap(level: float) -> float:
        return replace(bandit, mean=rates(level)).logged() - rate

    return rates(float(brentq(gap, -20, 20)))


def _with_uplift(bandit: Bandit, lean: F64, worth: F64, relative: float) -> Bandit:
    base = bandit.logged()

    def table(sharp: float) -> F64:
        return explore(lean + sharp * worth, 0.05)

    sharp = sharpness(lambda s: bandit.value(table(s)) / base - 1, relative)
    return replace(bandit, target=table(sharp))


def paid(mean: F64, pay: Pay, rng: np.random.Generator) -> F64:
    """(N,) rewards of the given means."""
    if pay == "rate":
        return np.asarray(rng.random(len(mean)) < mean, np.float64)
    if pay == "lognormal":
        return np.asarray(mean * np.exp(SIGMA * rng.normal(size=len(mean)) - SIGMA**2 / 2))
    return np.asarray(mean * (rng.pareto(ALPHA, len(mean)) + 1) * (ALPHA - 1) / ALPHA)


def watched(action: I64, rng: np.random.Generator) -> dict[str, F64]:
    """Guardrail columns whose mean depends on the arm: an event of about 1 %, and a heavy tail."""
    tail = paid(_level(action), "lognormal", rng)
    return {"rare": np.asarray(rng.random(len(action)) < _rate(action), np.float64), "heavy": tail}


def _rate(action: I64) -> F64:
    return np.asarray(0.006 + 0.008 * (action % 2))


def _level(action: I64) -> F64:
    return np.asarray(1.0 + 0.3 * (action % 3))


def changes(bandit: Bandit) -> dict[str, float]:
    """The true changes of `watched` columns."""
    arms = np.arange(ARMS)
    lift = bandit.target - np.einsum("l,lma->ma", bandit.share, bandit.loggers)
    return {
        "rare": float(bandit.chance @ (lift @ _rate(arms))),
        "heavy": float(bandit.chance @ (lift @ _level(arms))),
    }


def draw(bandit: Bandit, pay: Pay, table: bool, rng: np.random.Generator, n: int) -> Draw:
    """N decisions, each of a user of its own; `table`: the logger's distribution is logged."""
    return rows(bandit, pay, table, rng, rng.integers(CONTEXTS, size=n), None)


def draw_users(bandit: Bandit, pay: Pay, rng: np.random.Generator, n: int) -> Draw:
    """N users of several decisions in the same context each, in no order; heavy users more."""
    context = rng.integers(CONTEXTS, size=n)
    count = 1 + rng.poisson(VISITS[context % 2])
    user = rng.permutation(np.repeat(np.arange(n), count))
    return rows(bandit, pay, True, rng, context[user], user)


def rows(
    bandit: Bandit, pay: Pay, table: bool, rng: np.random.Generator, context: I64, user: I64 | None
) -> Draw:
    """Decisions in the given contexts."""
    n = len(context)
    logger = rng.choice(len(bandit.share), n, p=bandit.share)
    p, q, every = bandit.loggers[logger, context], bandit.target[context], np.arange(n)
    tables = bandit.loggers.reshape(-1, ARMS)
    action = pick(tables, logger * CONTEXTS + context, rng)
    offered = np.where(bandit.open[context], np.arange(ARMS), -1)
    names = np.array(LOGGERS)[logger]
    log = LoggedDataset.from_columns(
        session=every,
        step=np.zeros(n, np.int64),
        slate=action,
        propensity=p[every, action],
        reward=paid(bandit.mean[context, action], pay, rng),
        n_items=ARMS,
        user=user,
        logger=names if len(bandit.share) > 1 else None,
        context=np.concatenate([bandit.x[context], rng.normal(size=(n, 1))], axis=1),
        candidates=None if bandit.open.all() else offered,
        candidate_propensity=p if table else None,
    )
    scores = TargetScores(q[every, action], slates=every_item(n, ARMS), slate_weight=q)
    return Draw(log, scores, state=context, columns=watched(action, rng))


def bandit_process(
    *,
    n: int,
    pay: Pay = "rate",
    rate: float = 0.5,
    relative: float | None,
    seed: int = 1,
    loggers: int = 1,
    closed: bool = False,
    pilot: bool = False,
    table: bool = True,
) -> Process:
    """One-decision logs."""
    bandit = world(seed, pay, rate, relative, loggers=loggers, closed=closed, pilot=pilot)
    return _process(bandit, n, partial(draw, bandit, pay, table), same=relative is None)


def users_process(*, n: int, rate: float, relative: float, seed: int = 2) -> Process:
    """Decisions of returning users: a user's decisions meet one context, heavy users more often."""
    bandit = world(seed, "rate", rate, None)
    visits = 1 + VISITS[np.arange(CONTEXTS) % 2]
    rng = np.random.default_rng([seed, 43])
    bandit = replace(bandit, chance=visits / visits.sum())
    worth = np.log(bandit.mean / (1 - bandit.mean))
    lean = 0.3 * np.log(bandit.loggers[0]) + OWN * rng.normal(size=worth.shape)
    bandit = _with_uplift(bandit, lean, worth - worth.mean(), relative)
    return _process(bandit, n, partial(draw_users, bandit, "rate"))


def _process(
    bandit: Bandit, n: int, drawn: Callable[[np.random.Generator, int], Draw], same: bool = False
) -> Process:
    truth = Truth(bandit.value(bandit.target), bandit.logged(), changes(bandit))
    return Process(horizon="one_step", n=n, draw=drawn, truth=truth, same=same)
