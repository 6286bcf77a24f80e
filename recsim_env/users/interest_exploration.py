"""Interest exploration: a hidden type decides which topic pleases; the obvious topic hides it.

RecSim's environment (Ie et al., 2019, arXiv 1909.04847). Nothing about the user moves, so the slate
of highest expected immediate reward is optimal and the planning gap is 0: what pays is finding out
the type. `greedy by quality` is the trap: the common topic's documents are worse, and a third of
the users like them better. What there is to gain is static: one ranking for everybody earns 31.8
clicks, and the best slates where the type is known 32.1, 0.8 % more.

    affinity[z]        = exp(normal(strong if z is the type's topic else weak, affinity_sd))
    logit of document  = affinity[topic] + quality, of no click = no_click
    reward             = 1 per click
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue
from recsim_env.choice import multinomial_logit
from recsim_env.jit import njit
from recsim_env.model import Row, User, UserModel, World, check_inside
from recsim_env.random import normal, uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestExplorationConfig:
    """RecSim's defaults: two topics, two types of user."""

    n_items: int = 2000
    catalogue_seed: int = 0
    first_topic: float = 0.2  # share of documents in topic 0
    first_type: float = 0.3  # share of users of type 0
    weak: float = 0.1  # log-mean of the affinity to the topic that is not the type's own
    strong: float = 0.7  # and to its own
    affinity_sd: float = 0.1  # of the log
    quality_first: float = 0.8  # log-mean quality in topic 0
    quality_second: float = 0.2
    quality_sd: float = 0.1  # of the log
    no_click: float = 5.0  # logit

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items")
        check_inside(self, 0, 1, "first_topic", "first_type")
        check_inside(self, 0, math.inf, "affinity_sd", "quality_sd")


def build_catalogue(config: InterestExplorationConfig) -> Catalogue:
    """Documents of two topics with log-normal quality."""
    rng = np.random.default_rng(config.catalogue_seed)
    topics = (rng.random(config.n_items) >= config.first_topic).astype(np.int32)
    mean = np.where(topics == 0, config.quality_first, config.quality_second)
    quality = np.exp(mean + config.quality_sd * rng.normal(size=config.n_items))
    return Catalogue.of(topics, quality=quality, length=np.ones(config.n_items), n_topics=2)


@njit
def sample(user: User, world: World) -> None:
    """A type, and an affinity to each topic around the type's."""
    cfg = world.cfg
    own = 1 if uniform(user) < cfg.first_type else 0  # type 0 is strong in topic 1
    for z in range(2):
        mean = cfg.strong if z == own else cfg.weak
        user.affinity[z] = math.exp(mean + cfg.affinity_sd * normal(user))


@njit
def score(user: User, world: World, item: int) -> float:
    """Affinity to the topic plus quality."""
    return user.affinity[world.topics[item]] + world.quality[item]


@njit
def none(user: User, world: World) -> float:
    """Logit of no click."""
    return world.cfg.no_click


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
    """Nothing changes."""
    return 0.0


def item_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """Topic one-hot and quality (A, T + 1): both are observed."""
    return np.column_stack([catalogue.one_hot_topics(), catalogue.quality])


MODEL = UserModel(
    config=InterestExplorationConfig,
    catalogue=build_catalogue,
    fields=lambda config, catalogue: [("affinity", "f8", (2,))],
    features=item_features,
    sample=sample,
    respond=respond,
    advance=advance,
    score=score,
    none=none,
    most_topics=2,
    defaults={"slate_size": 2, "n_candidates": 5, "max_steps": 100},
)
