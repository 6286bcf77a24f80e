"""Longplay's constants, its switches, its items and what is the same for all its users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import NEVER, Catalogue, Population
from recsim_env.model import PLAIN_RESPONSES, Span, check_inside, constants

# Who comes: share of users, minutes per visit and impatience (a logit) against the default user's,
# and how much more than the default user they fall for clickbait.
COHORTS = {
    "casual": (0.5, 0.5, 0.5, 1.5),
    "regular": (0.3, 1.0, 0.0, 1.0),
    "devoted": (0.2, 2.0, -0.5, 0.5),
}
ONE_COHORT = {"all": (1.0, 1.0, 0.0, 1.0)}


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

    quality_noise: float = 0.0  # standard deviation of the quality that is observed
    wander: float = 0.0  # of each step's chance move of the interests, per dimension
    drift: float = 0.05  # share of the way to a consumed item that interests move
    boredom_keep: float = 0.9  # per step
    boredom_gain: float = 0.35  # per consumption, in the item's topic; boredom is at most 1
    satisfaction_keep: float = 0.93  # per step
    satisfaction_gain: float = 0.07 * 4.0  # per unit of quality less clickbait, each off its norm
    satisfaction_idle: float = 0.035  # lost when nothing on the slate pleases
    leave_base: float = -3.6  # logit of leaving after a step
    leave_satisfaction: float = 2.2
    leave_boredom: float = 1.0  # per unit of boredom of the most boring topic

    days: float = 0.0  # of an episode: a user who leaves comes back until then; 0: one visit each
    # Round numbers of our own: a neutral user comes back about one day in five, a delighted one
    # (satisfaction 1) every other day; Retention's law turns the chance into days away.
    return_habit: float = 0.2  # daily chance that is the user's own: b_u ~ U(0, habit)
    return_base: float = 0.1
    return_pull: float = 0.3  # per unit of satisfaction
    day_memory: float = 0.8  # of satisfaction kept per day away; boredom is gone by the next visit
    cohorts: bool = False  # casual, regular and devoted users (COHORTS), which one is observed
    newcomers: float = 0.0  # share of users whose preferences are not formed yet: cold start
    newcomer_taste: float = 0.4  # of the full `taste`, at first
    newcomer_learn: float = 0.1  # of the way to the full `taste`, per item consumed
    churn: float = 0.0  # share of items that appear and retire during the run
    item_life: int = 200  # ticks (steps of a slot) that such an item stays

    plan_quality: float = 15.0  # minutes later per unit, as the planning oracle guesses them
    plan_bait: float = 15.0
    plan_dull: float = 5.0

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items", "n_topics", "n_dims", "item_life")
        check_inside(self, 0, 10, "quality_noise", "wander")
        check_inside(self, 0, math.inf, "item_spread", "quality_sd", "budget", "days")
        if not 0 < self.shortest <= self.longest:
            raise ValueError(
                f"lengths {self.shortest}..{self.longest} minutes: need 0 < shortest <= longest"
            )
        if not self.concentration > 0:
            raise ValueError(f"concentration = {self.concentration} must be above 0")
        shares = ("boredom_keep", "satisfaction_keep", "drift", "watch_floor", "newcomers", "churn")
        check_inside(self, 0, 1, *shares, "return_habit", "day_memory", "newcomer_learn")


ITEM = np.dtype([("quality", "f4"), ("length", "f4"), ("clickbait", "f4"), ("topic", "i4")])


class LongplayWorld(NamedTuple):
    """What is the same for all users."""

    vectors: NDArray[np.float32]  # (A, D) of length 1
    items: NDArray[Any]  # (A,) records: topic, quality, length, clickbait
    centres: NDArray[np.float32]  # (T, D) middle of each topic
    people: NDArray[np.float32]  # (U, D) interests of the population, or (0, D)
    cohorts: NDArray[np.float64]  # (G, 4) rows of COHORTS, shares cumulated
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
    items = Catalogue.of(
        topics,
        vectors=vectors,
        quality=np.clip(quality + config.quality_sd * rng.normal(size=n), 0, 1),
        length=rng.uniform(config.shortest, config.longest, size=n),
        clickbait=clickbait,
        n_topics=config.n_topics,
    )
    return with_churn(items, config, rng) if config.churn > 0 else items


def with_churn(items: Catalogue, config: LongplayConfig, rng: np.random.Generator) -> Catalogue:
    """A share of the items come and go, staggered evenly over the first four item lives."""
    life = config.item_life
    passing = rng.random(len(items)) < config.churn
    since = rng.integers(-life, 3 * life, size=len(items))
    return items.with_windows(np.where(passing, since, 0), np.where(passing, since + life, NEVER))


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
        n_responses = len(PLAIN_RESPONSES.names)
        population.check_fits(n_items=len(catalogue), width=d, n_responses=n_responses)
        people = _unit(population.interests).astype(np.float32)
    cohorts = np.array(list(cohorts_of(config).values()))
    cohorts[:, 0] = cohorts[:, 0].cumsum()
    centres = _unit(sums).astype(np.float32)
    return LongplayWorld(vectors, items, centres, people, cohorts, constants(config))


def cohorts_of(config: LongplayConfig) -> dict[str, tuple[float, float, float, float]]:
    """The cohorts of a world, by name."""
    return COHORTS if config.cohorts else ONE_COHORT


def seen_of_user(config: LongplayConfig, catalogue: Catalogue) -> Span:
    """What is observed of a user: the calendar and the cohort, where the world has them."""
    calendar = ("day", "days_away", "visits") if config.days > 0 else ()
    cohorts = tuple(COHORTS) if config.cohorts else ()
    high = (1e6,) * len(calendar) + (1.0,) * len(cohorts)
    return Span((*calendar, *cohorts), 0.0, high)


def item_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """Topic one-hot, then the item's vector (A, T + D)."""
    return np.hstack([catalogue.one_hot_topics(), catalogue.vectors]).astype(np.float32)
