"""Funnel: view, cart, checkout, purchase; almost all of the reward stands at the end.

A hidden-Markov funnel in which each exposure shifts the hazard of moving on (Abhishek, Fader and
Hosanagar, 2012, "Media exposure through the funnel"):

    P(next stage | stage s, item) = sigmoid(base + fit [item made for s] + taste [topic is liked])

Every consumed item also earns a small margin at once, highest for items that move nobody on: the
immediate-greedy slate milks margins, planning sells. Stages are observed, the favourite topic is
not.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.choice import multinomial_logit, sigmoid
from recsim_env.jit import njit
from recsim_env.model import Law, Row, Span, User, UserModel, World, check_inside, plain_world
from recsim_env.random import integer, uniform

STAGES = ("view", "cart", "checkout", "purchase")
ROLES = len(STAGES) - 1  # an item may help at any stage but the last; role 3 is mere amusement


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelConfig:
    """Constants; hazards are logits, money is in units of one purchase."""

    n_items: int = 400
    n_topics: int = 8
    catalogue_seed: int = 0
    base: float = -3.0  # of moving on from any stage
    fit: float = 2.0  # of an item made for the stage
    taste: float = 1.0  # of the favourite topic, for moving on and for choosing alike
    no_click: float = 0.5  # logit
    price: float = 1.0  # of a purchase
    margin: float = 0.02  # largest, of a consumed item
    leave_idle: float = 0.12  # chance of leaving after a step without a choice
    leave_busy: float = 0.03  # and after one with

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items", "n_topics")
        check_inside(self, 0, 1, "leave_idle", "leave_busy")


class FunnelWorld(NamedTuple):
    """What is the same for all users."""

    topic: NDArray[np.int32]  # (A,)
    role: NDArray[np.int32]  # (A,) stage that the item helps to leave; 3: none
    margin: NDArray[np.float32]  # (A,)
    n_topics: int
    cfg: Any


def build_catalogue(config: FunnelConfig) -> Catalogue:
    """A quarter of the items for each stage but the last, and a quarter to amuse."""
    rng = np.random.default_rng(config.catalogue_seed)
    role = rng.integers(len(STAGES), size=config.n_items)
    amusing = np.where(role == ROLES, 0.5 + 0.5 * rng.random(config.n_items), 0.3)
    return Catalogue.of(
        rng.integers(config.n_topics, size=config.n_items),
        vectors=np.eye(len(STAGES))[role],
        clickbait=amusing,
        length=np.ones(config.n_items),
        n_topics=config.n_topics,
    )


def build_world(
    config: FunnelConfig, catalogue: Catalogue, population: Population | None
) -> FunnelWorld:
    """Arrays for the compiled functions."""
    plain = plain_world(config, catalogue, population)
    role = catalogue.vectors.argmax(1).astype(np.int32)
    margin = (config.margin * catalogue.clickbait).astype(np.float32)
    return FunnelWorld(plain.topics, role, margin, int(plain.topics.max()) + 1, plain.cfg)


@njit
def sample(user: User, world: World) -> None:
    """A favourite topic; the user only looks."""
    user.favourite = integer(user, world.n_topics)
    user.stage = 0


@njit
def score(user: User, world: World, item: int) -> float:
    """Logit: the favourite topic attracts."""
    return world.cfg.taste * (world.topic[item] == user.favourite)


@njit
def none(user: User, world: World) -> float:
    """Logit of no choice."""
    return world.cfg.no_click


@njit
def hazard(user: User, world: World, item: int) -> float:
    """Chance that consuming the item moves the user on."""
    cfg = world.cfg
    fits = world.role[item] == user.stage
    return sigmoid(cfg.base + cfg.fit * fits + cfg.taste * (world.topic[item] == user.favourite))


@njit
def worth(user: User, world: World, item: int) -> float:
    """The margin, and at the checkout the chance of a purchase."""
    buys = hazard(user, world, item) * world.cfg.price if user.stage == ROLES - 1 else 0.0
    return world.margin[item] + buys


@njit
def plan(user: User, world: World, item: int) -> float:
    """The margin, and what one stage further is worth: a purchase is that much nearer."""
    return world.margin[item] + hazard(user, world, item) * world.cfg.price * (1 + user.stage) / 3.0


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Choose by multinomial logit; the item may move the user on."""
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k])
    position = multinomial_logit(scores, none(user, world), uniform(user))
    if position >= 0:
        item = slate[position]
        response[0] = response[1] = 1.0
        paid[position] = world.margin[item]
        if uniform(user) < hazard(user, world, item):
            user.stage += 1
            response[2] = 1.0
            if user.stage == ROLES:
                paid[position] += world.cfg.price
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Remember whether the step was idle."""
    user.idle = item < 0
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """After a purchase, or by chance: sooner when nothing interests."""
    if user.stage == ROLES:
        return True
    return uniform(user) < (world.cfg.leave_idle if user.idle else world.cfg.leave_busy)


@njit
def observe(user: User, world: World, out: Row) -> None:
    """The stage, one-hot."""
    for s in range(out.size - 3):
        out[s] = 1.0 if user.stage == s else 0.0


def item_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """Topic and role, each one-hot (A, T + 4)."""
    return np.hstack([catalogue.one_hot_topics(), catalogue.vectors])


def tabular(config: FunnelConfig, catalogue: Catalogue) -> Law:
    """The law over favourite topic and stage: moved on or not, stayed or left."""
    topics, items = catalogue.n_topics, len(catalogue)
    favourite, stage = (x.ravel() for x in np.mgrid[:topics, :ROLES])
    likes = catalogue.topics == favourite[:, None]
    world = build_world(config, catalogue, None)
    fits = world.role == stage[:, None]
    goes_on = 1 / (1 + np.exp(-(config.base + config.fit * fits + config.taste * likes)))
    shape = (len(stage), items + 1, 4)
    chance, reward = np.zeros(shape), np.zeros(shape)
    moved = np.stack([goes_on, 1 - goes_on], 2)
    chance[:, :items, :2] = moved * (1 - config.leave_busy)
    chance[:, :items, 2:] = moved * config.leave_busy
    chance[:, items] = [0, 1 - config.leave_idle, 0, config.leave_idle]
    reward[:, :items] = world.margin[:, None]
    reward[stage == ROLES - 1, :items, ::2] += config.price
    after = np.full(shape, -1)
    here = np.arange(len(stage))[:, None]
    after[:, :, 0] = np.where(stage == ROLES - 1, -1, here[:, 0] + 1)[:, None]
    after[:, :, 1] = here
    none = np.full((len(stage), 1), np.exp(config.no_click))
    return Law(
        weight=np.hstack([np.exp(config.taste * likes), none]),
        chance=chance,
        reward=reward,
        after=after,
        start=(stage == 0) / topics,
        kind=np.arange(items),
        state=lambda users: users["favourite"].astype(np.int64) * ROLES + users["stage"],
    )


MODEL = UserModel(
    config=FunnelConfig,
    catalogue=build_catalogue,
    world=build_world,
    fields=lambda config, catalogue: [("favourite", "i4"), ("stage", "i4"), ("idle", "?")],
    features=item_features,
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    observe=observe,
    score=score,
    worth=worth,
    none=none,
    plan=plan,
    tabular=tabular,
    user=lambda config, catalogue: Span(STAGES, 0.0, 1.0),
    defaults={"slate_size": 3, "n_candidates": 20},
)
