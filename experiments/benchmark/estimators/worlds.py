"""Worlds of known value, in which estimators are compared: an endless supply of logs from each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset, TargetScores
from offpolicy.weighting.horizons import Horizon

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Draw = Callable[[np.random.Generator], tuple[LoggedDataset, TargetScores]]
Noise = Literal["clicks", "normal", "lognormal"]
STATES = 1000  # contexts of a world of single decisions
TAIL = 1.8  # sigma of lognormal rewards


class World(NamedTuple):
    """Logs of one logging policy, and the value of one target policy."""

    name: str
    horizon: Horizon
    draw: Draw
    truth: float  # value of the target policy
    logged: float  # value of the logging policy


class Decisions(NamedTuple):
    """Contexts of equal chance, and what both policies do and earn in each."""

    x: F64  # (M, D)
    logging: F64  # (M, A)
    target: F64  # (M, A)
    reward: F64  # (M, A) expected
    noise: Noise


def softmax(z: F64) -> F64:
    """Rows of probabilities."""
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def pick(p: F64, rng: np.random.Generator) -> I64:
    """A column (N,) for each row of probabilities (N, A)."""
    return np.asarray((rng.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(max=p.shape[1] - 1))


def paid(mean: F64, noise: Noise, rng: np.random.Generator) -> F64:
    """Rewards (N,) of these means."""
    if noise == "clicks":
        return np.asarray(rng.random(len(mean)) < mean, np.float64)
    if noise == "normal":
        return np.asarray(mean + rng.normal(size=len(mean)))
    return np.asarray(mean * np.exp(TAIL * rng.normal(size=len(mean)) - TAIL**2 / 2))


def bandit(name: str, rows: int, d: Decisions) -> World:
    """A world of single decisions."""
    n_items = d.reward.shape[1]

    def draw(rng: np.random.Generator) -> tuple[LoggedDataset, TargetScores]:
        c, i = rng.integers(0, len(d.x), rows), np.arange(rows)
        a = pick(d.logging[c], rng)
        log = LoggedDataset.from_columns(
            session=i, step=0 * i, slate=a, propensity=d.logging[c, a],
            reward=paid(d.reward[c, a], d.noise, rng), n_items=n_items, context=d.x[c],
            candidate_propensity=d.logging[c],
        )  # fmt: skip
        every = np.broadcast_to(np.arange(n_items, dtype=np.int32)[:, None], (rows, n_items, 1))
        return log, TargetScores(d.target[c, a], slates=every, slate_weight=d.target[c])

    truth, logged = (float((p * d.reward).sum(1).mean()) for p in (d.target, d.logging))
    return World(name, "one_step", draw, truth, logged)


def policies(x: F64, liked: F64, rng: np.random.Generator, sharp: float) -> tuple[F64, F64]:
    """A logging policy that knows nothing of what pays, and a target that knows most of it."""
    n_items = liked.shape[1]
    wrong = x @ rng.normal(size=(x.shape[1], n_items)) / np.sqrt(x.shape[1])
    liked = (liked - liked.mean()) / liked.std()
    return (
        0.9 * softmax(0.5 * wrong) + 0.1 / n_items,
        0.95 * softmax(sharp * (liked + 0.3 * wrong)) + 0.05 / n_items,
    )


def linear(seed: int, n_items: int, base: float, noise: Noise = "clicks") -> Decisions:
    """Logits (or, but for clicks, means) linear in five context columns, of each item its own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STATES, 5))
    logit = x @ rng.normal(size=(5, n_items)) / 5**0.5
    logging, target = policies(x, logit, rng, 2.0)
    chance = 1 / (1 + np.exp(-base - logit))
    return Decisions(x, logging, target, logit if noise == "normal" else chance, noise)


def waves(seed: int, n_items: int, base: float) -> Decisions:
    """Clicks whose logits hold sines of a context column, of each item its own frequency."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STATES, 4))
    bend = 1.5 * np.sin(2 * x[:, :1] * np.arange(1, n_items + 1) / 3)
    logit = x @ rng.normal(size=(4, n_items)) / 2 + bend
    logging, target = policies(x, logit, rng, 2.0)
    return Decisions(x, logging, target, 1 / (1 + np.exp(-base - logit)), "clicks")


def steps(seed: int, n_items: int, noise: Noise = "clicks") -> Decisions:
    """A level for each item in each of 16 cells, which the signs of four columns make."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STATES, 6))
    cell = (x[:, :4] > 0) @ (1 << np.arange(4))
    mean = rng.beta(1.0, 4.0, size=(16, n_items))[cell]
    logging, target = policies(x, mean, rng, 1.5)
    return Decisions(x, logging, target, mean, noise)


def without_context(seed: int, n_items: int) -> Decisions:
    """Items differ, users do not; the context tells nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STATES, 3))
    mean = np.broadcast_to(rng.beta(2.0, 8.0, size=n_items), (STATES, n_items))
    logging, target = policies(x, np.array(mean), rng, 1.0)
    return Decisions(x, logging, target, mean, "clicks")


def sharp(seed: int, n_items: int) -> Decisions:
    """As `linear`, with a logging policy that dislikes what the target likes: little overlap."""
    d = linear(seed, n_items, -1.0)
    z = np.log(d.reward / (1 - d.reward))
    return d._replace(logging=0.8 * softmax(-z) + 0.2 / n_items, target=softmax(3 * z))


def slates(name: str, rows: int, seed: int, n_items: int = 15, size: int = 3) -> World:
    """Slates drawn item by item without repeats; the reward is the number of clicks on them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(STATES, 4))
    logit = x @ rng.normal(size=(4, n_items)) / 2
    click = 1 / (1 + np.exp(1.5 - logit))
    behind = 0.5 * x @ rng.normal(size=(4, n_items)) / 2  # log worth of items to the logging policy
    ahead = 0.7 * logit + 0.5 * behind

    def drawn(worth: F64, rng: np.random.Generator) -> I64:
        return np.argsort(-(worth + rng.gumbel(size=worth.shape)), axis=1)[:, :size]

    def chance(worth: F64, slate: I64) -> F64:
        e = np.exp(worth)
        of = np.take_along_axis(e, slate, 1)
        left = e.sum(1, keepdims=True) - np.cumsum(of, axis=1) + of
        return np.asarray(of / left)

    def draw(rng: np.random.Generator) -> tuple[LoggedDataset, TargetScores]:
        c, i = rng.integers(0, STATES, rows), np.arange(rows)
        slate = drawn(behind[c], rng)
        place, target = chance(behind[c], slate), chance(ahead[c], slate)
        clicks = (rng.random(slate.shape) < np.take_along_axis(click[c], slate, 1)).astype(float)
        log = LoggedDataset.from_columns(
            session=i, step=0 * i, slate=slate, propensity=place.prod(1),
            position_propensity=place, position_reward=clicks, reward=clicks.sum(1),
            n_items=n_items, context=x[c],
        )  # fmt: skip
        shown = np.stack([drawn(ahead[c], rng) for _ in range(16)], axis=1).astype(np.int32)
        return log, TargetScores(target.prod(1), target, slates=shown)

    many = np.repeat(np.arange(STATES), 400)
    truth, logged = (
        float(np.take_along_axis(click[many], drawn(worth[many], rng), 1).sum(1).mean())
        for worth in (ahead, behind)
    )
    return World(name, "one_step", draw, truth, logged)


def sessions(name: str, users: int, seed: int, *, length: int, n_items: int, tired: float) -> World:
    """Sessions whose users like items of their own, and tire of what they had just now."""
    rng = np.random.default_rng(seed)
    theta, wrong = rng.normal(size=(2, 3, n_items))

    def play(n: int, rng: np.random.Generator, target: bool) -> dict[str, F64]:
        x, last = rng.normal(size=(n, 3)), np.full(n, -1)
        columns: dict[str, list[F64]] = {k: [] for k in ("context", "a", "p", "q", "pay")}
        for _ in range(length):
            had = np.arange(n_items) == last[:, None]
            liked = x @ theta / 3**0.5 - tired * had
            p = 0.9 * softmax(0.4 * x @ wrong / 3**0.5) + 0.1 / n_items
            q = 0.9 * softmax(0.8 * liked) + 0.1 / n_items
            last = pick(q if target else p, rng)
            chance = 1 / (1 + np.exp(1 - liked[np.arange(n), last]))
            pay = (rng.random(n) < chance).astype(np.float64)
            for k, v in zip(columns, (np.column_stack([x, had]), last, p, q, pay), strict=True):
                columns[k].append(v)
        return {k: np.stack(v, axis=1) for k, v in columns.items()}

    def draw(rng: np.random.Generator) -> tuple[LoggedDataset, TargetScores]:
        c = {k: v.reshape(users * length, *v.shape[2:]) for k, v in play(users, rng, False).items()}
        i, a = np.arange(users * length), c["a"].astype(np.int64)
        log = LoggedDataset.from_columns(
            session=i // length, step=i % length, slate=a, propensity=c["p"][i, a],
            reward=c["pay"], n_items=n_items, context=c["context"], candidate_propensity=c["p"],
            terminated=i % length == length - 1,
        )  # fmt: skip
        every = np.broadcast_to(np.arange(n_items, dtype=np.int32)[:, None], (len(i), n_items, 1))
        return log, TargetScores(c["q"][i, a], slates=every, slate_weight=c["q"])

    truth, logged = (
        float(play(100_000, rng, target)["pay"].sum(1).mean()) for target in (True, False)
    )
    return World(name, "per_decision", draw, truth, logged)


def _session_world(name: str, k: int, length: int, n_items: int, tired: float) -> World:
    return sessions(name, 1500, k, length=length, n_items=n_items, tired=tired)


# name -> seed -> world
WORLDS: dict[str, Callable[[int], World]] = {
    "linear": lambda k: bandit("linear", 4000, linear(k + 1, 10, -1.0)),
    "linear, large rewards": lambda k: bandit(
        "linear, large rewards", 4000, linear(k + 2, 10, 0.0, "normal")
    ),
    "waves": lambda k: bandit("waves", 4000, waves(k + 3, 10, -1.0)),
    "steps": lambda k: bandit("steps", 6000, steps(k + 4, 8)),
    "rare rewards": lambda k: bandit("rare rewards", 10_000, linear(k + 5, 10, -5.5)),
    "heavy tails": lambda k: bandit("heavy tails", 6000, linear(k + 6, 8, -1.0, "lognormal")),
    "200 items": lambda k: bandit("200 items", 6000, linear(k + 7, 200, -1.5)),
    "1000 items, few rows": lambda k: bandit(
        "1000 items, few rows", 3000, linear(k + 8, 1000, -1.5)
    ),
    "no context": lambda k: bandit("no context", 2000, without_context(k + 9, 20)),
    "little overlap": lambda k: bandit("little overlap", 5000, sharp(k + 10, 10)),
    "slates of 3 of 15": lambda k: slates("slates of 3 of 15", 5000, k + 11),
    "sessions of 3": lambda k: _session_world("sessions of 3", k + 12, 3, 6, 1.0),
    "sessions of 6": lambda k: _session_world("sessions of 6", k + 13, 6, 4, 2.0),
    "sessions of 10": lambda k: _session_world("sessions of 10", k + 14, 10, 3, 2.0),
}
