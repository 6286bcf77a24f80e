"""Interest evolution: clicks move a user's interests, good documents buy more time.

RecSim's environment (Ie et al., 2019, arXiv 1909.04847), on which SlateQ was shown (arXiv
1905.12767). A document's quality is drawn afresh each time it is offered, as RecSim resamples its
documents at every step, so what can be learned of quality is the topic's mean.

Planning pays here: serving topics of high mean quality earns about 265 minutes against about 167 of
the slate that suits the user best now. Nearly all of it is static: a ranking that is the same for
everybody earns 261 minutes, and the planning oracle 281, 7 % more.

With u the interest in a document's topic, q its quality and l its length in minutes:

    weight of a click  = max(u - normaliser, 0), of none = no_click - normaliser
    P(click document)  = its weight / sum of all weights
    u                 += drift (1 - |u|) (1 - u) with chance (u + 1) / 2, else -= the same
    budget            += min(budget, l) (refund q - 1); without a click: -= step_penalty
    reward             = min(budget, l); the session ends when the budget is spent
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recsim_env.catalogue import Catalogue
from recsim_env.choice import proportional
from recsim_env.jit import njit
from recsim_env.model import Row, Span, User, UserModel, World, check_inside
from recsim_env.random import normal_of, uniform

TOPICS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestEvolutionConfig:
    """RecSim's defaults."""

    n_items: int = 2000  # spread evenly over the 20 topics
    budget: float = 200.0  # minutes a user has
    length: float = 4.0  # minutes a document takes
    step_penalty: float = 0.5  # minutes that a slate without a click costs
    refund: float = 0.9 / 3.4  # minutes won back per minute of a document of quality 1
    quality_sd: float = 0.1  # of a document around its topic's mean
    no_click: float = 1.0  # score of clicking nothing
    normaliser: float = -1.0  # subtracted from every score, no-click too
    drift: float = 0.3  # largest share of the way to the document that an interest moves
    plan_minute: float = 1.4  # reward that a minute of budget earns, as the planner guesses it

    def __post_init__(self) -> None:
        check_inside(self, 0, 1, "drift")
        check_inside(self, 0, math.inf, "budget", "step_penalty", "quality_sd", "no_click")
        if self.no_click < self.normaliser:
            raise ValueError(
                f"no_click = {self.no_click}, normaliser = {self.normaliser}: the weight of no "
                "click, their difference, must not be negative"
            )
        if self.n_items % TOPICS or self.n_items <= 0:
            raise ValueError(f"n_items = {self.n_items} must be a multiple of the {TOPICS} topics")


def build_catalogue(config: InterestEvolutionConfig) -> Catalogue:
    """Documents in topic order; topics 0..13 harm (-3..0), 14..19 do good (0..3)."""
    topics = np.repeat(np.arange(TOPICS), config.n_items // TOPICS)
    means = np.concatenate([np.linspace(-3, 0, 14), np.linspace(0, 3, 6)])
    return Catalogue.of(
        topics,
        quality=means[topics],
        length=np.full(config.n_items, config.length),
        n_topics=TOPICS,
    )


@njit
def sample(user: User, world: World) -> None:
    """Interests u ~ U(-1, 1) in every topic, a full budget."""
    for z in range(user.interest.size):
        user.interest[z] = 2.0 * uniform(user) - 1.0
    user.budget = world.cfg.budget


@njit
def score(user: User, world: World, item: int) -> float:
    """Weight of a click: interest in the document's topic, less the normaliser; never negative."""
    return max(user.interest[world.topics[item]] - world.cfg.normaliser, 0.0)


@njit
def none(user: User, world: World) -> float:
    """Weight of no click."""
    return world.cfg.no_click - world.cfg.normaliser


@njit
def worth(user: User, world: World, item: int) -> float:
    """Minutes that a click brings."""
    return min(user.budget, world.length[item])


@njit
def plan(user: User, world: World, item: int) -> float:
    """Minutes now and what the budget they cost or win back is worth later."""
    minutes = worth(user, world, item)
    won = world.cfg.refund * world.quality[item] - 1.0
    return minutes * (1.0 + world.cfg.plan_minute * won)


@njit
def plan_none(user: User, world: World) -> float:
    """What the lost time is worth."""
    return -world.cfg.plan_minute * world.cfg.step_penalty


@njit
def respond(user: User, world: World, slate: Row, weights: Row, response: Row, paid: Row) -> int:
    """Click in proportion to the weights; quality is seen after the click."""
    for k in range(slate.size):
        weights[k] = score(user, world, slate[k])
    position = proportional(weights, none(user, world), uniform(user))
    if position >= 0:
        item = slate[position]
        paid[position] = worth(user, world, item)
        response[0] = 1.0
        response[1] = paid[position]
        response[2] = world.quality[item] + world.cfg.quality_sd * normal_of(user, item)
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Time passes, and an interest moves to or from the clicked topic: to it if it is liked."""
    if item < 0:
        user.budget -= world.cfg.step_penalty
        return 0.0
    z = world.topics[item]
    u = user.interest[z]
    move = world.cfg.drift * (1.0 - abs(u)) * (1.0 - u)
    moved = u + move if uniform(user) < (u + 1.0) / 2.0 else u - move
    user.interest[z] = min(max(moved, -1.0), 1.0)
    user.budget += response[1] * (world.cfg.refund * response[2] - 1.0)
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """When the budget is spent."""
    return user.budget <= 0.0


@njit
def observe(user: User, world: World, out: Row) -> None:
    """RecSim reveals the interests."""
    for z in range(user.interest.size):
        out[z] = user.interest[z]


MODEL = UserModel(
    config=InterestEvolutionConfig,
    catalogue=build_catalogue,
    fields=lambda config, catalogue: [("interest", "f4", (catalogue.n_topics,)), ("budget", "f8")],
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    observe=observe,
    score=score,
    worth=worth,
    none=none,
    plan=plan,
    plan_none=plan_none,
    choice="proportional",
    user=lambda config, catalogue: Span(
        tuple(f"interest_{z}" for z in range(catalogue.n_topics)), -1.0, 1.0
    ),
    defaults={"slate_size": 3, "n_candidates": 10},
)
