"""Right logs of ten shapes, small: what a doctor must not accuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset, TargetScores

F64 = NDArray[np.float64]
DAYS = 7 * 86_400.0


class Case(NamedTuple):
    """A log, a target policy on it, and the times of its rows."""

    log: LoggedDataset
    scores: TargetScores
    time: F64


def softmax(z: F64) -> F64:
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def draw(p: F64, rng: np.random.Generator) -> NDArray[np.int64]:
    """One column a row."""
    return np.asarray((rng.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(max=p.shape[1] - 1))


def pick(p: F64, item: NDArray[Any]) -> F64:
    return np.asarray(p[np.arange(len(p)), item])


def one_step(item: NDArray[Any], p: F64, reward: F64, n_items: int, **more: Any) -> LoggedDataset:
    """Each row a session."""
    n = len(reward)
    columns: dict[str, Any] = {
        "session": np.arange(n), "step": np.zeros(n, int), "slate": item, "propensity": p,
        "reward": reward, "n_items": n_items,
    }  # fmt: skip
    return LoggedDataset.from_columns(**(columns | more))


def spread(n: int, rng: np.random.Generator) -> F64:
    return np.sort(rng.uniform(0, DAYS, n))


def uniform(rng: np.random.Generator, n: int) -> Case:
    """A uniform logger; the reward is a constant, rare, or has a heavy tail."""
    a = int(rng.integers(3, 40))
    item = rng.integers(0, a, n)
    reward = [
        np.full(n, 0.3), (rng.random(n) < 0.003).astype(float), rng.lognormal(0, 1.8, n),
        rng.pareto(2.2, n), (rng.random(n) < 0.2).astype(float),
    ][int(rng.integers(5))]  # fmt: skip
    q = softmax(rng.normal(size=(1, a)))[0][item]
    return Case(one_step(item, np.full(n, 1 / a), reward, a), TargetScores(q), spread(n, rng))


def table(rng: np.random.Generator, n: int) -> Case:
    """A softmax over contexts, its distribution logged; several rows to a user."""
    a, x = int(rng.integers(4, 25)), rng.normal(size=(n, 4))
    theta = 0.6 * rng.normal(size=(4, a))
    p, q = softmax(x @ theta), softmax(-0.5 * x @ theta)
    item = draw(p, rng)
    reward = (rng.random(n) < softmax(x @ theta)[np.arange(n), item] ** 0.5).astype(float)
    platform = rng.integers(0, 3, n)
    log = one_step(
        item, pick(p, item), reward, a, candidate_propensity=p,
        context=np.column_stack([x, platform]), user=rng.integers(0, n // 4, n),
    )  # fmt: skip
    every = np.broadcast_to(np.arange(a, dtype=np.int32)[:, None], (n, a, 1))
    scores = TargetScores(pick(q, item), slates=every, slate_weight=q)
    return Case(log, scores, spread(n, rng))


def plackett_luce(z: F64, k: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], F64]:
    """Slates (N, k) drawn without replacement by scores (N, A), and each place's probability."""
    slate = np.argsort(-(z + rng.gumbel(size=z.shape)), 1)[:, :k]
    return slate, places_of(z, slate)


def places_of(z: F64, slate: NDArray[Any]) -> F64:
    e = np.exp(z - z.max(1, keepdims=True))
    shown = np.take_along_axis(e, slate, 1)
    left = e.sum(1, keepdims=True) - np.cumsum(shown, 1) + shown
    return np.asarray(shown / left)


def whole_slates(rng: np.random.Generator, n: int) -> Case:
    """Slates of which only the whole's propensity was logged, some with the first place's table."""
    a, k = int(rng.integers(8, 20)), int(rng.integers(2, 4))
    z = np.tile(rng.uniform(0, 0.6) * rng.normal(size=a), (n, 1))
    slate, pp = plackett_luce(z, k, rng)
    reward = (rng.random(n) < 0.2 + 0.1 * (slate[:, 0] == 0)).astype(float)
    more = {"candidate_propensity": softmax(z)} if rng.random() < 0.5 else {}
    q = places_of(1.2 * z, slate).prod(1)
    return Case(one_step(slate, pp.prod(1), reward, a, **more), TargetScores(q), spread(n, rng))


def place_slates(rng: np.random.Generator, n: int) -> Case:
    """Slates with the places' propensities and rewards, and what was taken."""
    a, k = int(rng.integers(6, 20)), 3
    z = rng.normal(size=(n, 3)) @ (0.5 * rng.normal(size=(3, a)))
    slate, pp = plackett_luce(z, k, rng)
    at = draw(np.tile([0.6, 0.2, 0.1, 0.1], (n, 1)), rng)  # the last: nothing
    taken = np.where(at < k, slate[np.arange(n), at.clip(max=k - 1)], -1)
    paid = (slate == taken[:, None]).astype(float)
    bonus = rng.choice([0.0, 0.5]) * (rng.random(n) < 0.1)  # for the row as a whole
    log = one_step(
        slate, pp.prod(1), paid.sum(1) + bonus, a, position_propensity=pp, position_reward=paid,
        consumed=taken,
    )  # fmt: skip
    other = places_of(0.7 * z, slate)
    return Case(log, TargetScores(other.prod(1), position_propensity=other), spread(n, rng))


def _steps(rng: np.random.Generator, n: int, longest: int) -> tuple[NDArray[np.int64], ...]:
    length = rng.integers(1, longest + 1, n)
    session = np.repeat(np.arange(n), length)
    return session, np.concatenate([np.arange(m) for m in length])


def sessions(rng: np.random.Generator, n: int) -> Case:
    """Sessions of one context each, served by what was served before."""
    session, step = _steps(rng, n // 4, 7)
    rows, a = len(session), 6
    context = rng.normal(size=(n // 4, 2))[session]
    item, p, q = np.zeros(rows, int), np.zeros(rows), np.zeros(rows)
    sticky = np.eye(a) * 1.5
    for t in range(7):
        at = np.flatnonzero(step == t)
        z = sticky[item[at - 1]] if t else np.zeros((len(at), a))
        here, there = softmax(z), softmax(z * 0.5)
        item[at] = draw(here, rng)
        p[at], q[at] = pick(here, item[at]), pick(there, item[at])
    mood = rng.normal(size=n // 4)[session]
    reward = (rng.random(rows) < 1 / (1 + np.exp(1 - mood))).astype(float)
    log = one_step(item, p, reward, a, session=session, step=step, context=context)
    start = rng.uniform(0, DAYS, n // 4)[session]
    return Case(log, TargetScores(q), start + 30.0 * step)


def returning(rng: np.random.Generator, n: int) -> Case:
    """Users who come back with an unchanged context, each with a taste of his own; who is happy
    stays longer."""
    users, a = n // 8, 8
    happy = rng.beta(1, 3, users)
    rows: list[tuple[int, int, int]] = []
    for s, u in enumerate(rng.integers(0, users, n // 4).tolist()):
        length = 1 + int(rng.geometric(1 - 0.8 * happy[u]))
        rows += [(s, t, u) for t in range(min(length, 12))]
    session, step, user = np.array(rows).T
    z = (0.5 * rng.normal(size=(users, a)))[user]
    p, q = softmax(z), softmax(2 * z)
    item = draw(p, rng)
    reward = (rng.random(len(user)) < happy[user]).astype(float)
    context = np.column_stack([rng.normal(size=users), rng.integers(0, 2, users)])[user]
    log = one_step(
        item, pick(p, item), reward, a, session=session, step=step, user=user, context=context,
    )  # fmt: skip
    time = rng.uniform(0, DAYS, n // 4)[session] + 20.0 * step
    return Case(log, TargetScores(pick(q, item)), time)


def loggers(rng: np.random.Generator, n: int) -> Case:
    """Three policies, the third taking over in the middle of the log; rewards of .3 %."""
    a, time = 10, spread(n, rng)
    which = np.where(time > DAYS / 2, 2, rng.integers(0, 2, n))
    z = rng.normal(size=(n, 3)) @ (0.5 * rng.normal(size=(3, a)))
    p = softmax(z * np.array([0.0, 1.0, -1.0])[which][:, None])
    item = draw(p, rng)
    reward = (rng.random(n) < 0.003 * (1 + (item == 0))).astype(float)
    q = pick(softmax(0.5 * z), item)
    names = np.array(["old", "new", "next"])[which]
    return Case(one_step(item, pick(p, item), reward, a, logger=names), TargetScores(q), time)


def forced(rng: np.random.Generator, n: int) -> Case:
    """Three rows in five had one candidate."""
    a = int(rng.integers(3, 8))
    alone = rng.random(n) < 0.6
    z = np.tile(0.7 * rng.normal(size=a), (n, 1))
    item = draw(softmax(z), rng)
    open_ = ~alone[:, None] | (np.arange(a) == rng.integers(0, a, n)[:, None])
    p = softmax(np.where(open_, z, -np.inf))
    item = draw(p, rng)
    offered = np.where(open_, np.arange(a), -1)
    more = {"candidate_propensity": p} if rng.random() < 0.6 else {}
    if not more or rng.random() < 0.5:
        more["candidates"] = offered
    q = pick(softmax(np.where(open_, 0.3 * z, -np.inf)), item)
    reward = (rng.random(n) < 0.1 + 0.3 * (item == 1)).astype(float)
    log = one_step(item, pick(p, item), reward, a, **more)
    return Case(log, TargetScores(q), spread(n, rng))


def empties(rng: np.random.Generator, n: int) -> Case:
    """To serve nothing, or fewer items than there are places, is among the choices."""
    a, k = 6, 3
    law = np.maximum(softmax(rng.normal(size=k + 1)), 0.05)
    law /= law.sum()
    size = draw(np.tile(law, (n, 1)), rng)
    z = np.tile(0.5 * rng.normal(size=a), (n, 1))
    slate, pp = plackett_luce(z, k, rng)
    filled = np.arange(k) < size[:, None]
    beyond = 1 - np.concatenate([[0], law.cumsum()[:-1]])  # chance of at least so many
    go, halt = beyond[1:] / beyond[:-1], law[:k] / beyond[:k]
    pp = np.where(filled, pp * go, np.where(np.arange(k) == size[:, None], halt, 1.0))
    more: dict[str, Any] = {"position_propensity": pp} if rng.random() < 0.5 else {}
    if rng.random() < 0.5:
        more["candidate_propensity"] = softmax(z) * go[0]
    reward = (rng.random(n) < 0.1 * size).astype(float)
    slate = np.where(filled, slate, -1)
    log = one_step(slate, pp.prod(1), reward, a, **more)
    ratio = rng.uniform(0.8, 1.2, k + 1)
    ratio /= (ratio * law).sum()
    q = np.minimum(pp.prod(1) * ratio[size], 1.0)
    return Case(log, TargetScores(q), spread(n, rng))


def closed(rng: np.random.Generator, n: int) -> Case:
    """A rule closes a third of the items on every row; candidates, or the table, say which."""
    a, x = int(rng.integers(6, 15)), rng.normal(size=(n, 3))
    z = x @ (0.5 * rng.normal(size=(3, a)))
    open_ = rng.random((n, a)) < rng.uniform(0.4, 1.0, a)
    open_[~open_.any(1)] = True
    p = softmax(np.where(open_, z, -np.inf))
    item = draw(p, rng)
    candidates = np.where(open_, np.arange(a), -1)
    say = int(rng.integers(4))
    more: dict[str, Any] = [
        {"candidates": candidates}, {"candidate_propensity": p},
        {"candidates": candidates, "candidate_propensity": p}, {},
    ][say]  # fmt: skip
    q = pick(softmax(np.where(open_, -0.3 * z, -np.inf)), item)
    log = one_step(item, pick(p, item), rng.normal(size=n) + x[:, 0], a, context=x, **more)
    return Case(log, TargetScores(q), spread(n, rng))


SHAPES: dict[str, Callable[[np.random.Generator, int], Case]] = {
    "uniform": uniform, "table": table, "whole slates": whole_slates,
    "slates by place": place_slates, "sessions": sessions, "returning users": returning,
    "several loggers": loggers, "forced choices": forced, "empty places": empties,
    "closed by rules": closed,
}  # fmt: skip


def right_log(shape: str, seed: int, rows: int | None = None) -> Case:
    """A log of about `rows` rows, by default 1,500 to 12,000."""
    rng = np.random.default_rng([seed, 31])
    return SHAPES[shape](rng, rows or int(rng.integers(1500, 12_000)))
