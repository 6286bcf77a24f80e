"""Long-term satisfaction: chocolate engages now, kale keeps the user engaged.

RecSim's "choc/kale" environment (Ie et al., 2019, arXiv 1909.04847). The original's sensitivity of
.01 has no trade-off at all (all chocolate is optimal); one exists for about .06 to .085, so the
default here is .07 and `sensitivity=.01` is the faithful preset. Even at .07 the best constant
clickbait beats pure chocolate by 4 %: planning pays, but little, and what it pays is static: one
ranking for everybody earns 959, and the planning oracle 962.

With c the clickbait of the document, which stands first and is always consumed:

    satisfaction       = sigmoid(sensitivity exposure)
    log engagement     = normal((c choc_mean + (1 - c) kale_mean) satisfaction,
                                c choc_sd + (1 - c) kale_sd)
    exposure           = memory exposure - 2 (c - 1/2) + normal(0, exposure_sd)
    reward             = engagement
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue
from recsim_env.choice import sigmoid
from recsim_env.jit import njit
from recsim_env.model import Row, Span, User, UserModel, World, check_inside
from recsim_env.random import normal, uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTermSatisfactionConfig:
    """RecSim's defaults, but for the sensitivity."""

    n_items: int = 2000
    catalogue_seed: int = 0
    memory: float = 0.7  # beta: share of net positive exposure kept per step
    sensitivity: float = 0.07  # of satisfaction to exposure; the original has .01
    exposure_sd: float = 0.05
    choc_mean: float = 5.0  # log-mean engagement of pure clickbait at satisfaction 1
    choc_sd: float = 1.0
    kale_mean: float = 4.0
    kale_sd: float = 1.0

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_items")
        check_inside(self, 0, math.inf, "exposure_sd", "choc_sd", "kale_sd")
        check_inside(self, 0, 0.999, "memory")


def build_catalogue(config: LongTermSatisfactionConfig) -> Catalogue:
    """Clickbait ~ U(0, 1); what is not chocolate is kale."""
    c = np.random.default_rng(config.catalogue_seed).random(config.n_items)
    return Catalogue.of(np.zeros(config.n_items, np.int32), clickbait=c, quality=1 - c)


@njit
def sample(user: User, world: World) -> None:
    """Exposure at random within its steady range."""
    user.exposure = (uniform(user) - 0.5) / (1.0 - world.cfg.memory)


@njit
def log_mean(user: User, world: World, item: int) -> float:
    """Log-mean engagement: between chocolate's and kale's, times satisfaction."""
    cfg, c = world.cfg, world.clickbait[item]
    satisfaction = sigmoid(cfg.sensitivity * user.exposure)
    return (c * cfg.choc_mean + (1.0 - c) * cfg.kale_mean) * satisfaction


@njit
def log_sd(world: World, item: int) -> float:
    """Spread of the log of engagement."""
    c = world.clickbait[item]
    return c * world.cfg.choc_sd + (1.0 - c) * world.cfg.kale_sd


@njit
def score(user: User, world: World, item: int) -> float:
    """The user consumes whatever stands first."""
    return 1.0


@njit
def worth(user: User, world: World, item: int) -> float:
    """Mean of the log-normal engagement."""
    return math.exp(log_mean(user, world, item) + 0.5 * log_sd(world, item) ** 2)


@njit
def plan(user: User, world: World, item: int) -> float:
    """Engagement now, less what the item's pull on exposure costs of all later engagement."""
    cfg, c = world.cfg, world.clickbait[item]
    satisfaction = sigmoid(cfg.sensitivity * user.exposure)
    mean = 0.5 * (cfg.choc_mean + cfg.kale_mean)
    slope = mean * satisfaction * (1.0 - satisfaction) * cfg.sensitivity
    later = math.exp(mean * satisfaction + 0.5 * cfg.kale_sd**2) / (1.0 - cfg.memory)
    return worth(user, world, item) - 2.0 * (c - 0.5) * slope * later


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Consume the first item; engagement is log-normal."""
    item = slate[0]
    paid[0] = math.exp(log_mean(user, world, item) + log_sd(world, item) * normal(user))
    response[0] = 1.0
    response[1] = paid[0]
    response[2] = 1.0 - world.clickbait[item]
    return 0


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Net positive exposure fades, and clickbait lowers it."""
    cfg = world.cfg
    pull = 2.0 * (world.clickbait[item] - 0.5)
    user.exposure = cfg.memory * user.exposure - pull + cfg.exposure_sd * normal(user)
    return 0.0


def item_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """Clickbait (A, 1) is observed."""
    return catalogue.clickbait[:, None]


MODEL = UserModel(
    config=LongTermSatisfactionConfig,
    catalogue=build_catalogue,
    fields=lambda config, catalogue: [("exposure", "f8")],
    features=item_features,
    sample=sample,
    respond=respond,
    advance=advance,
    score=score,
    worth=worth,
    plan=plan,
    choice="independent",
    responses=Span(("click", "watch_time", "quality"), (0, 0, 0), (1, 1e6, 1)),
    defaults={"slate_size": 1, "n_candidates": 10, "max_steps": 60},
)
