"""Boredom: a topic clicked too often goes stale for a while (SARDINE).

Deffayet et al. (2024, arXiv 2311.16586). Relevance is a steep sigmoid of the match between user
and item; of the last ten clicks, no older than five steps, five in one topic make it bored for five
steps. variant "car", theirs: a user bored of anything clicks nothing at all. variant "topic": only
the bored topics are dead. With `influence` below 1 clicks pull the interests to the mean embedding
of what was clicked; `scalar_mean` is their code, which averages over topics too by mistake.

Planning pays about twofold under "car": the best item over and over earns half of what alternating
between topics does. Under "topic" and "off" the gap is 0: there is always another item to click.
With slates every position is clicked by itself; the history then shows the last click,
`position_reward` all of them.

With m the cosine of user and item, at position k = 0, 1 ...:

    relevance          = sigmoid(steepness (m - shift))
    P(click)           = attention fade^k relevance; 0 while bored ("car": of anything)
    bored[z]           = for `bored_for` steps, when `threshold` of the clicks of the last `recent`
                         steps are in topic z
    interests          = influence interests + (1 - influence) mean of what was clicked, at length 1
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.choice import sigmoid
from recsim_env.jit import njit, njit_sums
from recsim_env.model import Row, Span, User, UserModel, World, check_inside, plain_world
from recsim_env.random import integer, uniform

CLICKS = 10  # that boredom remembers


@dataclass(frozen=True, slots=True, kw_only=True)
class BoredomConfig:
    """SARDINE's SingleItem environments."""

    n_items: int = 1000
    n_topics: int = 10
    catalogue_seed: int = 0
    steepness: float = 100.0  # lambda; "uncertain" environments have 10
    shift: float = 0.65  # delta: the match at which relevance is a half
    attention: float = 1.0  # alpha: chance that a relevant first position is clicked
    fade: float = 0.85  # gamma: of attention from position to position
    variant: Literal["car", "topic", "off"] = "car"  # what boredom kills; "off": never bored
    threshold: int = 5  # clicks in one topic that bore
    recent: int = 5  # steps that a click counts
    bored_for: int = 5  # steps
    influence: float = 1.0  # omega: share of the interests that survives a click
    observe: Literal["history", "latent"] = "history"  # "latent": the interests are shown as well
    scalar_mean: bool = False  # as published: a click pulls all interests to one number

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items", "n_topics")
        check_inside(self, 0, 1, "attention", "fade", "influence")
        check_inside(self, 0, math.inf, "threshold", "recent", "bored_for")
        if self.variant not in ("car", "topic", "off"):
            raise ValueError(f"variant = {self.variant!r}: choose 'car', 'topic' or 'off'")
        if self.observe not in ("history", "latent"):
            raise ValueError(f"observe = {self.observe!r}: choose 'history' or 'latent'")


def build_catalogue(config: BoredomConfig) -> Catalogue:
    """Embeddings uniform on two or three random topics, at length 1."""
    rng = np.random.default_rng(config.catalogue_seed)
    n, t = config.n_items, config.n_topics
    rank = rng.random((n, t)).argsort(1).argsort(1)
    vectors = rng.random((n, t)) * (rank < rng.integers(2, 4, size=(n, 1)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Catalogue.of(vectors.argmax(1), vectors=vectors, n_topics=t)


class BoredomWorld(NamedTuple):
    """What is the same for all users."""

    vectors: NDArray[np.float32]  # (A, T) embeddings of length 1
    topics: NDArray[np.int32]  # (A,) largest entry of the embedding
    car: bool
    topical: bool
    latent: bool
    cfg: Any


def build_world(
    config: BoredomConfig, catalogue: Catalogue, population: Population | None
) -> BoredomWorld:
    """Arrays for the compiled functions."""
    plain = plain_world(config, catalogue, population)
    kind = (config.variant == "car", config.variant == "topic", config.observe == "latent")
    return BoredomWorld(plain.vectors, plain.topics, *kind, plain.cfg)


@njit_sums
def match(user: User, world: World, item: int) -> Any:
    """Cosine of user and item."""
    total = np.float32(0.0)
    for z in range(user.interest.size):
        total += user.interest[z] * world.vectors[item, z]
    return total


@njit
def settle(user: User, world: World) -> None:
    """Interests to length 1."""
    total = 0.0
    for z in range(user.interest.size):
        total += user.interest[z] ** 2
    for z in range(user.interest.size):
        user.interest[z] /= total**0.5


@njit
def sample(user: User, world: World) -> None:
    """Interests uniform on three to five random topics."""
    topics, left = user.interest.size, 3 + integer(user, 3)
    for z in range(topics):
        take = uniform(user) * (topics - z) < left
        user.interest[z] = uniform(user) if take else 0.0
        left -= take
        user.bored[z] = 0
        user.pull[z] = 0.0
    settle(user, world)
    for i in range(CLICKS):
        user.clicked[i] = -1
        user.when[i] = -1
    user.next = 0


@njit
def recent_clicks(user: User, world: World, topic: int) -> int:
    """How many of the remembered clicks are in the topic and still count."""
    count = 0
    for i in range(CLICKS):
        fresh = user.step - user.when[i] < world.cfg.recent
        count += user.clicked[i] == topic and fresh
    return count


@njit
def score(user: User, world: World, item: int) -> float:
    """Chance of a click at the first position."""
    if world.car:
        for z in range(user.bored.size):
            if user.bored[z] > user.step:
                return 0.0
    if world.topical and user.bored[world.topics[item]] > user.step:
        return 0.0
    cfg = world.cfg
    return cfg.attention * sigmoid(cfg.steepness * (match(user, world, item) - cfg.shift))


@njit
def plan(user: User, world: World, item: int) -> float:
    """A click that would bore its topic costs the steps on which the user then clicks nothing."""
    if not world.car:
        return 1.0
    clicks = recent_clicks(user, world, world.topics[item])
    if clicks + 1 >= world.cfg.threshold:
        return -1.0 * world.cfg.bored_for
    return 1.0 - 0.1 * clicks


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Every position clicked by itself, attention fading; clicks are remembered by topic."""
    last, fade = -1, 1.0
    for k in range(slate.size):
        if uniform(user) < fade * score(user, world, slate[k]):
            paid[k] = 1.0
        fade *= world.cfg.fade
    for k in range(slate.size):
        if paid[k] > 0.0:
            last = k
            user.clicked[user.next] = world.topics[slate[k]]
            user.when[user.next] = user.step
            user.next = (user.next + 1) % CLICKS
            for z in range(user.pull.size):
                user.pull[z] += world.vectors[slate[k], z]
    if last >= 0:
        response[0] = response[1] = response[2] = 1.0
    return last


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Topics with too many recent clicks bore; interests follow the mean of what was clicked."""
    cfg = world.cfg
    if item < 0:
        return 0.0
    for z in range(user.bored.size):
        if recent_clicks(user, world, z) >= cfg.threshold and user.bored[z] <= user.step:
            user.bored[z] = user.step + 1 + cfg.bored_for
    clicks, average = 0, 0.0
    for i in range(CLICKS):
        clicks += user.when[i] == user.step
    for z in range(user.pull.size):
        average += user.pull[z] / user.pull.size
    for z in range(user.pull.size):
        mean = (average if cfg.scalar_mean else user.pull[z]) / clicks
        user.interest[z] = cfg.influence * user.interest[z] + (1.0 - cfg.influence) * mean
        user.pull[z] = 0.0
    if cfg.influence < 1.0:
        settle(user, world)
    return 0.0


@njit
def observe(user: User, world: World, out: Row) -> None:
    """Boredom is hidden, and interests unless the world shows them."""
    if world.latent:
        for z in range(user.interest.size):
            out[z] = user.interest[z]


def seen_of_user(config: BoredomConfig, catalogue: Catalogue) -> Span:
    """Names and bounds of what `observe` writes."""
    topics = range(catalogue.vectors.shape[1]) if config.observe == "latent" else ()
    return Span(tuple(f"interest_{z}" for z in topics), -1.0, 1.0)


MODEL = UserModel(
    config=BoredomConfig,
    catalogue=build_catalogue,
    world=build_world,
    fields=lambda config, catalogue: [
        ("interest", "f4", (catalogue.vectors.shape[1],)),
        ("pull", "f4", (catalogue.vectors.shape[1],)),
        ("bored", "i4", (catalogue.n_topics,)),  # step at which the topic is fresh again
        ("clicked", "i4", (CLICKS,)),  # topics of the last clicks
        ("when", "i4", (CLICKS,)),  # their steps
        ("next", "i4"),
    ],
    features=lambda catalogue: catalogue.vectors,
    sample=sample,
    respond=respond,
    advance=advance,
    observe=observe,
    user=seen_of_user,
    score=score,
    plan=plan,
    choice="independent",
    defaults={"slate_size": 1, "n_candidates": None, "max_steps": 100},
)
