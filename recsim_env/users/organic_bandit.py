"""Organic and bandit sessions: what users view by themselves tells what to recommend.

RecoGym v1 (Rohde et al., 2018, arXiv 1808.00720). Between recommendations users browse; those
organic views are in the observation's user vector (how often each product was viewed, and which
last), and interests wander while they browse. A fault of the original is not inherited: here a user
may leave from the bandit state.

A click only moves the user to browsing, so planning is worth about nothing: the gap is about 0.

With x = interests . embedding + log popularity of a product:

    P(organic view)    = softmax(x) over all products
    P(click)           = sigmoid(5 sigmoid(2 sigmoid(.3 x) - 2) - 6), product by product
    interests         += normal(0, drift_sd) with each organic view, and when browsing begins
    organic -> bandit, stop; bandit -> organic, stop: with the chances of the settings;
    a click leads to organic
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.choice import sigmoid
from recsim_env.jit import njit, njit_sums
from recsim_env.model import Row, Span, User, UserModel, World, check_inside, plain_world
from recsim_env.random import normal, uniform

RAREST = 1e-3  # chance of a recommendation after an organic view: users browse until there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganicBanditConfig:
    """RecoGym's defaults."""

    n_items: int = 10
    n_dims: int = 5
    catalogue_seed: int = 42
    popularity_sd: float = 3.0  # of a product's organic log-popularity
    drift_sd: float = 0.1  # of the interests, per organic view
    organic_to_bandit: float = 0.25
    organic_to_stop: float = 0.01
    bandit_to_organic: float = 0.05
    bandit_to_stop: float = 0.01

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items", "n_dims")
        check_inside(self, 0, math.inf, "popularity_sd", "drift_sd")
        chances = ("organic_to_bandit", "organic_to_stop", "bandit_to_organic", "bandit_to_stop")
        check_inside(self, 0, 1, *chances)
        for one in ("organic", "bandit"):
            leave = [getattr(self, name) for name in chances if name.startswith(one)]
            if sum(leave) > 1:
                raise ValueError(f"{one}_to_... = {leave}: chances of one step add up to at most 1")
        if self.organic_to_bandit < RAREST:
            raise ValueError(
                f"organic_to_bandit = {self.organic_to_bandit}: hardly anybody would ever be "
                f"recommended anything; give at least {RAREST}"
            )


class OrganicBanditWorld(NamedTuple):
    """What is the same for all users."""

    vectors: NDArray[np.float32]  # (P, D) product embeddings
    bias: NDArray[np.float32]  # (P,) log-popularity, organic and bandit alike
    cfg: Any


def build_catalogue(config: OrganicBanditConfig) -> Catalogue:
    """Gaussian embeddings and log-popularity, drawn as RecoGym draws them: seed 42 is its world."""
    rng = np.random.RandomState(config.catalogue_seed)
    vectors = rng.normal(size=(config.n_items, config.n_dims))
    popularity = np.exp(config.popularity_sd * rng.normal(size=config.n_items))
    topics = np.zeros(config.n_items, np.int32)
    return Catalogue.of(topics, vectors=vectors, popularity=popularity)


def build_world(
    config: OrganicBanditConfig, catalogue: Catalogue, population: Population | None
) -> OrganicBanditWorld:
    """Arrays for the compiled functions."""
    plain = plain_world(config, catalogue, population)
    if (catalogue.popularity <= 0).any():
        raise ValueError("every product needs a popularity above 0: its logarithm is used")
    bias = np.log(catalogue.popularity)
    return OrganicBanditWorld(plain.vectors, bias, plain.cfg)


@njit_sums
def affinity(user: User, world: World, item: int) -> Any:
    """Interests times embedding, plus the product's bias."""
    total = world.bias[item]
    for d in range(user.interest.size):
        total += user.interest[d] * world.vectors[item, d]
    return total


@njit
def view(user: User, world: World) -> None:
    """One organic view by softmax over all products (as the largest of Gumbel-noised logits)."""
    best, chosen = -np.inf, 0
    for item in range(world.bias.size):
        noisy = affinity(user, world, item) - math.log(-math.log(1.0 - uniform(user)))
        if noisy > best:
            best, chosen = noisy, item
    user.last = chosen
    user.views[chosen] += 1


@njit
def browse(user: User, world: World) -> bool:
    """Organic views until a recommendation is due; false when the user left instead."""
    cfg = world.cfg
    for product in range(user.views.size):
        user.views[product] = 0
    while True:
        view(user, world)
        u = uniform(user)
        if u < cfg.organic_to_stop:
            return False
        if u < cfg.organic_to_stop + cfg.organic_to_bandit:
            return True
        wander(user, world)


@njit
def wander(user: User, world: World) -> None:
    """Interests move by a Gaussian step."""
    for d in range(user.interest.size):
        user.interest[d] += world.cfg.drift_sd * normal(user)


@njit
def sample(user: User, world: World) -> None:
    """Gaussian interests; the session starts at its first recommendation."""
    user.gone = False
    while True:
        for d in range(user.interest.size):
            user.interest[d] = normal(user)
        if browse(user, world):
            return


@njit
def score(user: User, world: World, item: int) -> float:
    """Chance of a click: RecoGym's ff(x) = sigmoid(5 sigmoid(2 sigmoid(.3 x) - 2) - 6)."""
    return sigmoid(5.0 * sigmoid(2.0 * sigmoid(0.3 * affinity(user, world, item)) - 2.0) - 6.0)


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """The positions one after the other; the first click ends the looking."""
    for k in range(slate.size):
        if uniform(user) < score(user, world, slate[k]):
            paid[k] = response[0] = response[1] = response[2] = 1.0
            return k
    return -1


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """A click leads to browsing; else the user stays, browses or stops."""
    cfg, u = world.cfg, uniform(user)
    if item < 0 and u < cfg.bandit_to_stop:
        user.gone = True
    elif item >= 0 or u < cfg.bandit_to_stop + cfg.bandit_to_organic:
        wander(user, world)
        user.gone = not browse(user, world)
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """When the user stopped, while looking at recommendations or while browsing."""
    return user.gone


@njit
def observe(user: User, world: World, out: Row) -> None:
    """Views of each product since the last recommendation but one, and the last product viewed."""
    n = user.views.size
    for product in range(n):
        out[product] = user.views[product]
        out[n + product] = 1.0 if user.last == product else 0.0


def seen_of_user(config: OrganicBanditConfig, catalogue: Catalogue) -> Span:
    """Names and bounds of what `observe` writes."""
    products = range(len(catalogue))
    names = (*(f"views_{p}" for p in products), *(f"last_view_{p}" for p in products))
    return Span(names, 0.0, (1e6,) * len(catalogue) + (1.0,) * len(catalogue))


MODEL = UserModel(
    config=OrganicBanditConfig,
    catalogue=build_catalogue,
    world=build_world,
    fields=lambda config, catalogue: [
        ("interest", "f8", (catalogue.vectors.shape[1],)),
        ("views", "i4", (len(catalogue),)),
        ("last", "i4"),
        ("gone", "?"),
    ],
    features=lambda catalogue: catalogue.one_hot_items(),
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    observe=observe,
    score=score,
    choice="independent",
    user=seen_of_user,
    defaults={"slate_size": 1, "n_candidates": None},
)
