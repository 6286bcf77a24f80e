"""Retention: people come back sooner after a session that was good to them.

KuaiSim's idea (Zhao et al., 2023, arXiv 2309.12645) with an identifiable form. One episode is a
user over `days` days. Within a visit temper falls by 2 - r, where r = 2 quality of what is clicked
(0 without a click), and the visit ends when temper is below 1. The user then returns after d days,
d geometric on 1..10 with daily chance p = clip(b_u + pull mean(r) + base, .001, .999): what pays is
visits, so quality beats appeal, and planning pays. Reward is 1 per click.

    logit of item      = preference[topic] + 2 appeal; of no click = no_click
    temper            -= 2 - r, r = 2 quality of what is clicked, 0 without a click
    p                  = clip(b_u + pull mean(r) + base, .001, .999)
    P(d days away)     = p (1 - p)^(d - 1) / (1 - (1 - p)^10), d = 1 .. 10
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recsim_env.catalogue import Catalogue
from recsim_env.choice import multinomial_logit
from recsim_env.jit import njit
from recsim_env.model import Row, Span, User, UserModel, World, check_inside
from recsim_env.random import normal, uniform

LONGEST = 10  # days away at most


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """Constants; appeal is a logit."""

    n_items: int = 500
    n_topics: int = 10
    catalogue_seed: int = 0
    tempting: float = 0.35  # quality lost per unit of an item's appeal
    quality_sd: float = 0.15
    taste_sd: float = 0.7  # of a user's logit per topic
    no_click: float = 1.0
    temper: float = 6.0  # at the start of a visit
    habit: float = 0.15  # b_u ~ U(0, habit)
    pull: float = 0.45  # of a visit's mean pleasure (0..2) on the daily chance to return
    base: float = -0.1
    days: float = 30.0  # that an episode lasts

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items", "n_topics")
        check_inside(self, 0, 1, "habit")
        check_inside(self, 0, math.inf, "quality_sd", "taste_sd", "days")
        if self.temper < 1:
            raise ValueError(f"temper = {self.temper} must be at least 1 for a visit to begin")


def build_catalogue(config: RetentionConfig) -> Catalogue:
    """Appeal ~ U(0, 1); the more tempting, the worse on average."""
    rng = np.random.default_rng(config.catalogue_seed)
    appeal = rng.random(config.n_items)
    quality = 0.6 - config.tempting * (appeal - 0.5)
    quality += config.quality_sd * rng.normal(size=config.n_items)
    return Catalogue.of(
        rng.integers(config.n_topics, size=config.n_items),
        quality=np.clip(quality, 0, 1),
        clickbait=appeal,
        length=np.ones(config.n_items),
        n_topics=config.n_topics,
    )


@njit
def sample(user: User, world: World) -> None:
    """Preferences, a habit, and the first visit on day 0."""
    for z in range(user.preference.size):
        user.preference[z] = world.cfg.taste_sd * normal(user)
    user.habit = world.cfg.habit * uniform(user)
    user.day = 0
    user.gap = 0
    user.visits = 0
    arrive(user, world)


@njit
def arrive(user: User, world: World) -> None:
    """A visit begins."""
    user.visits += 1
    user.temper = world.cfg.temper
    user.pleasure = 0.0
    user.served = 0


@njit
def return_chance(habit: float, pleasure: float, world: World) -> float:
    """Daily chance to return after a visit of this mean pleasure (0..2)."""
    p = habit + world.cfg.pull * pleasure + world.cfg.base
    return min(max(p, 0.001), 0.999)


@njit
def days_away(p: float, u: float) -> int:
    """Geometric on 1..10 by inversion: P(d) = p (1 - p)^(d - 1) / (1 - (1 - p)^10)."""
    mass = 1.0 - (1.0 - p) ** LONGEST
    day = math.ceil(math.log(1.0 - u * mass) / math.log(1.0 - p))
    return min(max(day, 1), LONGEST)


@njit
def score(user: User, world: World, item: int) -> float:
    """Logit: preference for the topic and the item's appeal."""
    return user.preference[world.topics[item]] + 2.0 * world.clickbait[item]


@njit
def none(user: User, world: World) -> float:
    """Logit of no click."""
    return world.cfg.no_click


@njit
def plan(user: User, world: World, item: int) -> float:
    """A click, and the temper that quality saves for further ones."""
    return 1.0 + 4.0 * world.quality[item]


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Click by multinomial logit."""
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k])
    position = multinomial_logit(scores, none(user, world), uniform(user))
    if position >= 0:
        paid[position] = response[0] = response[1] = 1.0
        response[2] = world.quality[slate[position]]
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Temper falls by what pleasure falls short of 2; below 1 the visit ends and days pass."""
    pleasure = 2.0 * response[2]
    user.served += 1
    user.pleasure += pleasure
    user.temper += min(max(pleasure - 2.0, -2.0), 0.0)
    if user.temper < 1.0 or user.served >= 100:
        p = return_chance(user.habit, user.pleasure / user.served, world)
        user.gap = days_away(p, uniform(user))
        user.day += user.gap
        arrive(user, world)
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """When the days are over."""
    return user.day >= world.cfg.days


@njit
def observe(user: User, world: World, out: Row) -> None:
    """The calendar: day, days away before this visit, visits so far, decisions in this visit."""
    out[0] = user.day
    out[1] = user.gap
    out[2] = user.visits
    out[3] = user.served


MODEL = UserModel(
    config=RetentionConfig,
    catalogue=build_catalogue,
    fields=lambda config, catalogue: [
        ("preference", "f8", (catalogue.n_topics,)),
        ("habit", "f8"),
        ("temper", "f8"),
        ("pleasure", "f8"),
        ("day", "i4"),
        ("gap", "i4"),
        ("visits", "i4"),
        ("served", "i4"),
    ],
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    observe=observe,
    score=score,
    none=none,
    plan=plan,
    user=lambda config, catalogue: Span(("day", "days_away", "visits", "visit_steps"), 0.0, 1e6),
    defaults={"slate_size": 3, "n_candidates": 20},
)
