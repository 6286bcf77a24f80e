"""Longplay: users who drift, tire, are let down by clickbait, and leave.

This project's own world. Its terms have sources: interests drift to what is consumed and time is a
budget (interest evolution, Ie et al., 2019), topics bore (SARDINE, Deffayet et al., 2024),
satisfaction remembers quality against clickbait (long-term satisfaction, Ie et al., 2019), and an
unsatisfied user leaves (KuaiSim's temper, Zhao et al., 2023). Quality and clickbait are never
shown to the agent; they can be learned per item from what happens after it. Reward is minutes.

Planning pays here; `longplay benchmark planning` prints by how much.
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
from recsim_env.jit import njit, njit_sums
from recsim_env.model import Row, User, UserModel, World, constants, refuse_outside
from recsim_env.random import gamma, uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class LongplayConfig:
    """Constants of the world; utilities are logits, times are minutes."""

    n_items: int = 1000
    n_topics: int = 20
    n_dims: int = 16  # of the space that items and interests live in
    catalogue_seed: int = 0
    item_spread: float = 0.7  # of an item around its topic's centre
    clickbait_a: float = 1.0  # clickbait ~ Beta(a, b)
    clickbait_b: float = 2.5
    clickbait_norm: float = 0.28  # the clickbait that users take as normal
    quality_mean: float = 0.55
    quality_cost: float = 0.5  # of quality per unit of clickbait above the norm
    quality_sd: float = 0.18
    shortest: float = 2.0  # minutes
    longest: float = 6.0

    concentration: float = 0.12  # Dirichlet weight of each topic in a user's interests
    budget: float = 120.0  # minutes
    idle_cost: float = 0.5  # minutes that a slate without a choice costs

    taste: float = 5.0  # utility per unit of affinity
    dull: float = 2.5  # utility lost to a topic that bores fully
    bait: float = 1.6  # utility per unit of clickbait
    no_choice: float = 2.0  # utility of taking nothing

    watch_floor: float = 0.25  # share of an item watched at the least
    watch_taste: float = 4.0
    watch_quality: float = 2.0
    watch_dull: float = 2.0

    drift: float = 0.05  # share of the way to a consumed item that interests move
    boredom_keep: float = 0.9  # per step
    boredom_gain: float = 0.35  # per consumption, in the item's topic; boredom is at most 1
    satisfaction_keep: float = 0.93  # per step
    satisfaction_gain: float = 0.07 * 4.0  # per unit of quality less clickbait, each off its norm
    satisfaction_idle: float = 0.035  # lost when nothing on the slate pleases
    leave_base: float = -3.6  # logit of leaving after a step
    leave_satisfaction: float = 2.2
    leave_boredom: float = 1.0  # per unit of boredom of the most boring topic

    plan_quality: float = 15.0  # minutes later per unit, as the planning oracle guesses them
    plan_bait: float = 15.0
    plan_dull: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise ValueError(
                f"lengths {self.shortest}..{self.longest} minutes: need 0 < shortest <= longest"
            )
        shares = ("boredom_keep", "satisfaction_keep", "drift", "watch_floor")
        refuse_outside(self, 0, 1, *shares)


ITEM = np.dtype([("quality", "f4"), ("length", "f4"), ("clickbait", "f4"), ("topic", "i4")])


class LongplayWorld(NamedTuple):
    """What is the same for all users."""

    vectors: NDArray[np.float32]  # (A, D) of length 1
    items: NDArray[Any]  # (A,) records: topic, quality, length, clickbait
    centres: NDArray[np.float32]  # (T, D) middle of each topic
    people: NDArray[np.float32]  # (U, D) interests of the population, or (0, D)
    cfg: Any


def build_catalogue(config: LongplayConfig) -> Catalogue:
    """Items scattered around the centres of their topics."""
    rng = np.random.default_rng(config.catalogue_seed)
    n, d = config.n_items, config.n_dims
    centres = _unit(rng.normal(size=(config.n_topics, d)))
    topics = rng.integers(config.n_topics, size=n)
    vectors = _unit(centres[topics] + config.item_spread * rng.normal(size=(n, d)) / math.sqrt(d))
    clickbait = rng.beta(config.clickbait_a, config.clickbait_b, size=n)
    quality = config.quality_mean - config.quality_cost * (clickbait - config.clickbait_norm)
    return Catalogue.of(
        topics,
        vectors=vectors,
        quality=np.clip(quality + config.quality_sd * rng.normal(size=n), 0, 1),
        length=rng.uniform(config.shortest, config.longest, size=n),
        clickbait=clickbait,
        n_topics=config.n_topics,
    )


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """Rows at length 1; a row of zeros stays."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norm > 0, norm, 1)


def build_world(
    config: LongplayConfig, catalogue: Catalogue, population: Population | None
) -> LongplayWorld:
    """Arrays for the compiled functions; a topic's centre is the mean direction of its items."""
    d = catalogue.vectors.shape[1]
    vectors = _unit(catalogue.vectors).astype(np.float32)
    items = np.zeros(len(catalogue), ITEM)
    for name in ("quality", "length", "clickbait"):
        items[name] = getattr(catalogue, name)
    items["topic"] = catalogue.topics
    sums = np.zeros((catalogue.n_topics, d))
    np.add.at(sums, catalogue.topics, vectors)
    people = np.zeros((0, d), np.float32)
    if population is not None:
        if population.interests.shape[1] != d:
            raise ValueError(
                f"interests have {population.interests.shape[1]} dimensions and item vectors {d}"
            )
        people = _unit(population.interests).astype(np.float32)
    return LongplayWorld(vectors, items, _unit(sums).astype(np.float32), people, constants(config))


@njit_sums
def affinity(user: User, world: World, item: int) -> Any:
    """Cosine of the user's interests and an item: both have length 1."""
    a = b = c = d = np.float32(0.0)  # four sums at a time, for none waits for another
    u = user.interest
    whole = u.size // 4 * 4
    for i in range(0, whole, 4):
        a += u[i] * world.vectors[item, i]
        b += u[i + 1] * world.vectors[item, i + 1]
        c += u[i + 2] * world.vectors[item, i + 2]
        d += u[i + 3] * world.vectors[item, i + 3]
    for i in range(whole, u.size):
        a += u[i] * world.vectors[item, i]
    return (a + b) + (c + d)


@njit_sums
def at_length_one(vector: Row) -> None:
    """Scale a vector in place to length 1."""
    total = np.float32(0.0)
    for d in range(vector.size):
        total += vector[d] * vector[d]
    if total > 0.0:
        scale = np.float32(1.0) / np.sqrt(total)
        for d in range(vector.size):
            vector[d] *= scale


@njit
def sample(user: User, world: World) -> None:
    """A person of the population, or a mixture of topics p ~ Dirichlet; nothing bores yet."""
    cfg = world.cfg
    for d in range(user.interest.size):
        user.interest[d] = world.people[user.person, d] if user.person >= 0 else 0.0
    for z in range(world.centres.shape[0]):
        user.boredom[z] = 0.0
        if user.person < 0:
            weight = np.float32(gamma(user, cfg.concentration))
            for d in range(user.interest.size):
                user.interest[d] += weight * world.centres[z, d]
    at_length_one(user.interest)
    user.satisfaction = 0.0
    user.budget = cfg.budget


@njit
def score(user: User, world: World, item: int) -> float:
    """Utility of an item now: taste, less boredom with its topic, plus bait."""
    it, cfg = world.items[item], world.cfg
    return (
        cfg.taste * affinity(user, world, item)
        - cfg.dull * user.boredom[it.topic]
        + cfg.bait * it.clickbait
    )


@njit
def none(user: User, world: World) -> float:
    """Utility of taking nothing."""
    return world.cfg.no_choice


@njit
def worth(user: User, world: World, item: int) -> float:
    """Minutes watched of an item once it is chosen; at most the budget."""
    it, cfg = world.items[item], world.cfg
    appeal = (
        cfg.watch_taste * affinity(user, world, item)
        + cfg.watch_quality * (it.quality - 0.5)
        - cfg.watch_dull * user.boredom[it.topic]
    )
    share = cfg.watch_floor + (1.0 - cfg.watch_floor) * sigmoid(appeal)
    return min(it.length * share, user.budget)


@njit
def plan(user: User, world: World, item: int) -> float:
    """Minutes now and, roughly, later: quality keeps a user, clickbait and boredom drive off."""
    it, cfg = world.items[item], world.cfg
    keeps = cfg.plan_quality * (it.quality - 0.5)
    drives_off = cfg.plan_bait * (it.clickbait - cfg.clickbait_norm)
    return worth(user, world, item) + keeps - drives_off - cfg.plan_dull * user.boredom[it.topic]


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Choose by multinomial logit; quality shows once the item is consumed."""
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k])
    place = multinomial_logit(scores, none(user, world), uniform(user))
    if place >= 0:
        paid[place] = worth(user, world, slate[place])
        response[0] = 1.0
        response[1] = paid[place]
        response[2] = world.items[slate[place]].quality
    return place


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Time passes, boredom fades, and a consumed item moves interests, boredom, satisfaction."""
    cfg = world.cfg
    for z in range(user.boredom.size):
        user.boredom[z] *= np.float32(cfg.boredom_keep)
    user.satisfaction *= cfg.satisfaction_keep
    if item < 0:
        user.satisfaction -= cfg.satisfaction_idle
        user.budget -= cfg.idle_cost
        return 0.0
    it = world.items[item]
    user.boredom[it.topic] = min(user.boredom[it.topic] + np.float32(cfg.boredom_gain), 1.0)
    drift = np.float32(cfg.drift)
    for d in range(user.interest.size):
        user.interest[d] += drift * (world.vectors[item, d] - user.interest[d])
    at_length_one(user.interest)
    honest = (it.quality - 0.5) - (it.clickbait - cfg.clickbait_norm)
    user.satisfaction += cfg.satisfaction_gain * honest
    user.budget -= response[1]
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """When time is up, or by chance: more likely the less satisfied and the more bored."""
    if user.budget <= 1e-9:
        return True
    cfg, most = world.cfg, np.float32(0.0)
    for z in range(user.boredom.size):
        most = max(most, user.boredom[z])
    logit = cfg.leave_base - cfg.leave_satisfaction * user.satisfaction + cfg.leave_boredom * most
    return uniform(user) < sigmoid(logit)


def item_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """Topic one-hot, then the item's vector (A, T + D)."""
    return np.hstack([catalogue.one_hot_topics(), catalogue.vectors]).astype(np.float32)


MODEL = UserModel(
    config=LongplayConfig,
    catalogue=build_catalogue,
    world=build_world,
    fields=lambda config, catalogue: [
        ("interest", "f4", (catalogue.vectors.shape[1],)),
        ("boredom", "f4", (catalogue.n_topics,)),
        ("satisfaction", "f8"),
        ("budget", "f8"),
    ],
    features=item_features,
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    score=score,
    worth=worth,
    none=none,
    plan=plan,
    defaults={"slate_size": 3, "n_candidates": 20},
)
