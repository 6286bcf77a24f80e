"""Novelty seekers: users who like what they have not had for a while. One file is one world."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.choice import multinomial_logit
from recsim_env.jit import njit
from recsim_env.model import Row, User, UserModel, World, constants
from recsim_env.random import uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyConfig:
    n_items: int = 60
    n_topics: int = 6
    novelty: float = 0.5  # logit gained per step that a topic was not consumed
    patience: float = 0.05  # chance of leaving after a step


class NoveltyWorld(NamedTuple):
    topic: NDArray[np.int32]
    cfg: Any


def build_world(config: Any, catalogue: Catalogue, people: Population | None) -> NoveltyWorld:
    return NoveltyWorld(catalogue.topics, constants(config))


@njit
def sample(user: User, world: World) -> None:
    for z in range(user.last.size):
        user.last[z] = -1


@njit
def score(user: User, world: World, item: int) -> float:
    return world.cfg.novelty * (user.step - user.last[world.topic[item]])


@njit
def none(user: User, world: World) -> float:
    return 1.0


@njit
def worth(user: User, world: World, item: int) -> float:
    return 1.0


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k])
    place = multinomial_logit(scores, none(user, world), uniform(user))
    if place >= 0:
        paid[place] = response[0] = response[1] = response[2] = 1.0
    return place


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    if item >= 0:
        user.last[world.topic[item]] = user.step
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    return uniform(user) < world.cfg.patience


@njit
def observe(user: User, world: World, out: Row) -> None:
    pass


MODEL = UserModel(
    config=NoveltyConfig,
    catalogue=lambda c: Catalogue.of(np.arange(c.n_items) % c.n_topics, n_topics=c.n_topics),
    world=build_world,
    fields=lambda config, catalogue: [("last", "i4", (catalogue.n_topics,))],
    features=Catalogue.one_hot_topics,
    sample=sample, respond=respond, advance=advance, leaves=leaves, observe=observe,
    score=score, worth=worth, none=none,
    defaults={"slate_size": 3, "n_candidates": 10},
)  # fmt: skip
