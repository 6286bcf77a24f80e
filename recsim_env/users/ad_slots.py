"""Ad slots: positions seen less the lower they are, ads that wear out, and caps on how often.

Position-based clicks (Richardson, Dominowska and Ragno, 2007: examined and relevant), relevance
worn down by exposure to the same advertiser (wear-out: Pechmann and Stewart, 1988) and nil above a
frequency cap. Positions are clicked independently, at

    examine^k x relevance(user, ad) x wear^exposures(advertiser)

A click pays the ad's bid. Every ad shown annoys by its clickbait, and annoyed users leave: planning
pays by spreading advertisers and by sparing the loud ones.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue
from recsim_env.choice import position_based, sigmoid
from recsim_env.jit import njit
from recsim_env.model import Row, User, UserModel, World, check_inside
from recsim_env.random import normal, uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class AdSlotsConfig:
    """Constants; relevance is a logit, annoyance adds to the logit of leaving."""

    n_items: int = 200
    n_advertisers: int = 20
    catalogue_seed: int = 0
    relevance: float = -1.5  # logit of a click on an average ad, seen for the first time
    taste_sd: float = 0.8  # of a user's logit per advertiser
    loudness: float = 1.5  # logit per unit of an ad's loudness
    examine: float = 0.7  # share of attention that reaches the next position
    wear: float = 0.75  # of relevance, per exposure to the advertiser
    recover: float = 0.9  # of exposure kept per step
    cap: float = 4.0  # exposures above which the advertiser's ads are not clicked
    annoy: float = 0.25  # per unit of loudness shown
    calm: float = 0.9  # of annoyance kept per step
    leave: float = -4.0  # logit

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items", "n_advertisers")
        check_inside(self, 0, 1, "examine", "recover", "calm")
        check_inside(self, 0, math.inf, "taste_sd", "cap")


def build_catalogue(config: AdSlotsConfig) -> Catalogue:
    """Ads with bids ~ log-normal (as quality) and loudness ~ U(0, 1) (as clickbait)."""
    rng = np.random.default_rng(config.catalogue_seed)
    return Catalogue.of(
        rng.integers(config.n_advertisers, size=config.n_items),
        quality=np.exp(0.4 * rng.normal(size=config.n_items)),
        clickbait=rng.random(config.n_items),
        length=np.ones(config.n_items),
        n_topics=config.n_advertisers,
    )


@njit
def sample(user: User, world: World) -> None:
    """Preferences; nothing seen, nobody annoyed."""
    for a in range(user.preference.size):
        user.preference[a] = world.cfg.taste_sd * normal(user)
        user.exposure[a] = 0.0
    user.annoyance = 0.0


@njit
def score(user: User, world: World, item: int) -> float:
    """Chance of a click at the first position."""
    cfg, a = world.cfg, world.topics[item]
    if user.exposure[a] >= cfg.cap:
        return 0.0
    loud = cfg.loudness * (world.clickbait[item] - 0.5)
    return sigmoid(cfg.relevance + user.preference[a] + loud) * cfg.wear ** user.exposure[a]


@njit
def worth(user: User, world: World, item: int) -> float:
    """The bid."""
    return world.quality[item]


@njit
def plan(user: User, world: World, item: int) -> float:
    """The bid, less what wearing out the advertiser and annoying the user cost later.

    Costs fall on showing, not on clicking: they are spread over the chance of a click.
    """
    click = max(score(user, world, item), 1e-3)
    worn = 0.5 * (1.0 - world.cfg.wear) * world.quality[item]
    return world.quality[item] - worn - 0.25 * world.clickbait[item] / click


@njit
def respond(user: User, world: World, slate: Row, chances: Row, response: Row, paid: Row) -> int:
    """Clicks by position; the history keeps the last."""
    examined = 1.0
    for k in range(slate.size):
        chances[k] = score(user, world, slate[k])
        paid[k] = examined  # how well a position is seen goes in where its click comes out
        examined *= world.cfg.examine
    position = position_based(user, chances, paid, paid)
    for k in range(slate.size):
        user.exposure[world.topics[slate[k]]] += 1.0
        user.annoyance += world.cfg.annoy * world.clickbait[slate[k]]
        paid[k] *= world.quality[slate[k]]
    if position >= 0:
        response[0] = response[1] = 1.0
        response[2] = world.quality[slate[position]]
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Exposure and annoyance fade."""
    for a in range(user.exposure.size):
        user.exposure[a] *= world.cfg.recover
    user.annoyance *= world.cfg.calm
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """By chance: sooner the more annoyed."""
    return uniform(user) < sigmoid(world.cfg.leave + user.annoyance)


def item_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """Advertiser one-hot, bid and loudness (A, T + 2)."""
    return np.column_stack([catalogue.one_hot_topics(), catalogue.quality, catalogue.clickbait])


MODEL = UserModel(
    config=AdSlotsConfig,
    catalogue=build_catalogue,
    fields=lambda config, catalogue: [
        ("preference", "f8", (catalogue.n_topics,)),
        ("exposure", "f8", (catalogue.n_topics,)),
        ("annoyance", "f8"),
    ],
    features=item_features,
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    score=score,
    worth=worth,
    plan=plan,
    choice="independent",
    defaults={"slate_size": 4, "n_candidates": 20, "max_steps": 200},
)
