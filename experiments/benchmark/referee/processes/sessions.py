"""Logs of sessions of a chain: in order or not, whole or cut, of users who return."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from experiments.benchmark.referee.processes.chains import (
    LEVELS,
    TOPICS,
    Chain,
    drifting,
    watched_rate,
    with_uplift,
)
from experiments.benchmark.referee.processes.process import (
    F64,
    I64,
    Draw,
    Process,
    every_item,
    pick,
)
from offpolicy import LoggedDataset, TargetScores
from offpolicy.weighting.horizons import Horizon

Cut = Literal["no", "after", "random"]
RETURNS = np.array([1.3, 2.5, 3.5, 1.8])  # mean sessions of a user, by the taste it begins with


class Walk(NamedTuple):
    """Rows of many sessions, step after step over all of them."""

    session: I64
    step: I64
    state: I64
    action: I64
    ended: F64


def walk(chain: Chain, rng: np.random.Generator, start: I64) -> Walk:
    """Serve sessions that begin in the given states (S,) by the logging policy."""
    alive, state, parts = np.arange(len(start)), start, []
    items = chain.logging.shape[1]
    moves = chain.move.reshape(-1, len(chain.start))
    for t in range(chain.steps):
        action = pick(chain.logging, state, rng)
        ended = (rng.random(len(state)) < chain.leave[state, action]) | (t == chain.steps - 1)
        parts.append((alive, np.full(len(alive), t), state, action, ended))
        after = pick(moves, state * items + action, rng)
        state, alive = after[~ended], alive[~ended]
        if not len(alive):
            break
    return Walk(*(np.concatenate([part[k] for part in parts]) for k in range(5)))


def draw(chain: Chain, cut: Cut, ordered: bool, rng: np.random.Generator, n: int) -> Draw:
    """N sessions, each of its own user; `ordered`: one session's rows stand together."""
    start = pick(chain.start[None, :], np.zeros(n, np.int64), rng)
    w = walk(chain, rng, start)
    return rows(chain, w, rng, _seen_until(chain, cut, rng, n), ordered, None)


def draw_users(chain: Chain, rng: np.random.Generator, n: int) -> Draw:
    """N users whose sessions all begin with the user's own taste."""
    taste = rng.integers(TOPICS, size=n)
    count = 1 + rng.poisson(RETURNS[taste] - 1)
    user = np.repeat(np.arange(n), count)
    w = walk(chain, rng, taste[user] * LEVELS)
    return rows(chain, w, rng, np.full(len(user), chain.steps), False, user)


def _seen_until(chain: Chain, cut: Cut, rng: np.random.Generator, n: int) -> I64:
    """(S,) decisions of each session that were logged before the log stopped."""
    if cut == "no":
        return np.full(n, chain.steps)
    if cut == "after":
        return np.full(n, chain.steps // 2)
    at = rng.integers(1, chain.steps, n)
    return np.where(rng.random(n) < 0.7, at, chain.steps)


def rows(
    chain: Chain, w: Walk, rng: np.random.Generator, until: I64, ordered: bool, user: I64 | None
) -> Draw:
    """The log of what was seen of the walk."""
    keep = np.flatnonzero(w.step < until[w.session])
    if ordered:
        keep = keep[np.lexsort((w.step[keep], w.session[keep]))]
    session, step, state, action = w.session[keep], w.step[keep], w.state[keep], w.action[keep]
    ended = w.ended[keep].astype(bool)
    stopped = ~ended & (step == until[session] - 1)
    every, p, q = np.arange(len(keep)), chain.logging[state], chain.target[state]
    mean = chain.mean[state, action]
    drawn = (
        rng.random(len(mean)) < mean
        if chain.noise is None
        else mean + chain.noise * (rng.normal(size=len(mean)))
    )
    items = p.shape[1]
    log = LoggedDataset.from_columns(
        session=session,
        step=step,
        slate=action,
        propensity=p[every, action],
        reward=drawn.astype(np.float64),
        n_items=items,
        user=None if user is None else user[session],
        terminated=ended,
        truncated=stopped,
        context=chain.seen[state],
        candidate_propensity=p,
    )
    scores = TargetScores(q[every, action], slates=every_item(len(keep), items), slate_weight=q)
    rare = np.asarray(rng.random(len(keep)) < watched_rate(action), np.float64)
    return Draw(log, scores, state=state, columns={"rare": rare})


def session_process(
    chain: Chain, *, n: int, cut: Cut = "no", ordered: bool = True, horizon: Horizon, same: bool
) -> Process:
    """Logs of one session a user."""
    drawn = partial(draw, chain, cut, ordered)
    return Process(
        horizon=horizon, n=n, draw=drawn, truth=chain.truth(), gamma=chain.gamma, same=same
    )


def returning_process(*, n: int, relative: float, seed: int = 5) -> Process:
    """Logs of users with several sessions; the value is that of a session."""
    start = np.zeros(TOPICS * LEVELS)
    start[::LEVELS] = RETURNS / RETURNS.sum()
    chain = drifting(seed, steps=6, leave=0.1, relative=None, far=0.0)
    chain = replace(chain, start=start)
    rng = np.random.default_rng([seed, 61])
    lean = np.log(chain.logging) + 0.3 * rng.normal(size=chain.mean.shape)
    chain = with_uplift(chain, lean, 3 * (chain.mean - chain.mean.mean()), relative)
    return Process(
        horizon="per_decision", n=n, draw=partial(draw_users, chain), truth=chain.truth()
    )
