"""Served: users fitted to a log of served slates (see `recsim_env.calibration.served`).

What is taken of a slate, or nothing, is a mixed logit (McFadden and Train, 2000); what it pays and
what is observed of it are linear in the same state; and after each decision the user leaves by a
logistic hazard (a survival model in discrete time: Allison, 1982) that remembers what was had:

    utility  = appeal[item] + position[k] + taste[person] . features[item]
               + follow recent . features[item] - dull worn[topic]
    nothing  = no_choice - level[person]
    reward   = pay[item] + purse[person] + pay_taste (taste . features) + pay_follow (recent .
               features) - pay_dull worn[topic] + noise
    response = mean[item] + slope (reward - pay[item]) + noise
    strain   = strain_keep strain + (departure[item] + leave_paid (reward - pay[item]),
               or leave_idle)
    leaving  = logistic(leave_base + patience[person] + strain + leave_worn max(worn)
               + leave_total (reward so far) + leave_step log(1 + step))

`worn` counts what was had of each topic and `recent` sums its features; both fade by `keep` per
decision. A person is a row of the population: one draw of a logged user's preferences.
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
from recsim_env.columns import as_reals, shaped_columns
from recsim_env.jit import njit, njit_sums
from recsim_env.model import Row, Span, User, UserModel, World, check_inside, constants
from recsim_env.random import normal, uniform

MOST = 1e6  # bound of a response; no log that is fitted comes near it
RESPONSES = Span(("click", "watch_time", "quality"), -MOST, MOST)
# What it reads beside the catalogue's own columns, one letter for each dimension: A items, R
# responses, U persons, K positions.
COLUMNS = {"appeal": "A", "pay": "A", "departure": "A", "response": "AR"}
PERSONS = {"level": "U", "purse": "U", "patience": "U"}
TRAITS = PERSONS | {"position": "K", "slope": "R", "spread": "R", "low": "R", "high": "R"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedConfig:
    """Coefficients that all users share; utilities and hazards are logits."""

    no_choice: float = 0.0  # utility of taking nothing
    follow: float = 0.0  # utility per unit of likeness to what was had of late
    dull: float = 0.0  # utility lost per item of the same topic had of late
    keep: float = 0.9  # of what was had of late, per decision

    pay_taste: float = 0.0  # reward per unit of the person's own preference
    pay_follow: float = 0.0
    pay_dull: float = 0.0
    pay_spread: float = 0.0  # standard deviation of a reward that the rest does not explain
    pay_low: float = 0.0  # rewards lie between these two
    pay_high: float = 1.0
    pay_binary: int = 0  # 1: a reward is one of the two, with the same mean
    idle_pay: float = 0.0  # reward when nothing is taken

    leave_base: float = -50.0  # users stay where a log does not tell when they leave
    leave_idle: float = 0.0
    leave_paid: float = 0.0
    leave_total: float = 0.0
    leave_worn: float = 0.0
    leave_step: float = 0.0
    strain_keep: float = 0.9  # per decision

    plan_leave: float = 0.0  # reward that a unit of `departure` costs later, as oracles guess it

    def __post_init__(self) -> None:
        check_inside(self, 0, 1, "keep", "strain_keep", "pay_binary")
        check_inside(self, 0, math.inf, "pay_spread")
        if self.pay_high < self.pay_low:
            raise ValueError(f"rewards {self.pay_low}..{self.pay_high}: need pay_low <= pay_high")


class ServedWorld(NamedTuple):
    """What is the same for all users; A items, U persons, R responses."""

    features: NDArray[np.float32]  # (A, D) that preferences are about
    topics: NDArray[np.int32]  # (A,)
    appeal: NDArray[np.float64]  # (A,)
    pay: NDArray[np.float64]  # (A,)
    departure: NDArray[np.float64]  # (A,)
    response: NDArray[np.float64]  # (A, R)
    taste: NDArray[np.float32]  # (U, D)
    level: NDArray[np.float64]  # (U,)
    purse: NDArray[np.float64]  # (U,)
    patience: NDArray[np.float64]  # (U,)
    position: NDArray[np.float64]  # (K',) further positions: the last
    slope: NDArray[np.float64]  # (R,)
    spread: NDArray[np.float64]  # (R,)
    low: NDArray[np.float64]  # (R,)
    high: NDArray[np.float64]  # (R,)
    cfg: Any


def build_world(
    config: ServedConfig, catalogue: Catalogue, population: Population | None
) -> ServedWorld:
    """Arrays for the compiled functions; ValueError names what a served world lacks."""
    if population is None:
        raise ValueError("a served world needs the population that it was fitted to")
    n, width = catalogue.vectors.shape
    population.check_fits(n_items=n, width=width, n_responses=len(RESPONSES.names))
    what = "a served world"
    sizes = {"A": n, "U": len(population), "R": len(RESPONSES.names)}
    arrays = shaped_columns(what, catalogue.columns, COLUMNS, sizes)
    arrays |= shaped_columns(what, population.traits, TRAITS, sizes)
    return ServedWorld(
        features=catalogue.vectors,
        topics=catalogue.topics,
        taste=population.interests,
        cfg=constants(config),
        **arrays,
    )


@njit
def sample(user: User, world: World) -> None:
    """Nothing was had yet in this session."""
    for z in range(user.worn.size):
        user.worn[z] = 0.0
    for d in range(user.recent.size):
        user.recent[d] = 0.0
    user.strain = user.total = user.earned = 0.0


@njit_sums
def match(user: User, world: World, item: int) -> Any:
    """Inner product of the person's preferences and an item's features."""
    total = np.float32(0.0)
    for d in range(user.recent.size):
        total += world.taste[user.person, d] * world.features[item, d]
    return total


@njit_sums
def likeness(user: User, world: World, item: int) -> Any:
    """Inner product of what was had of late and an item's features."""
    total = np.float32(0.0)
    for d in range(user.recent.size):
        total += user.recent[d] * world.features[item, d]
    return total


@njit
def score(user: User, world: World, item: int) -> float:
    """Utility of an item now, in the first position."""
    cfg = world.cfg
    return (
        world.appeal[item]
        + match(user, world, item)
        + cfg.follow * likeness(user, world, item)
        - cfg.dull * user.worn[world.topics[item]]
    )


@njit
def none(user: User, world: World) -> float:
    """Utility of taking nothing."""
    return world.cfg.no_choice - world.level[user.person]


@njit
def within(value: float, low: float, high: float) -> float:
    """The nearest number in low..high."""
    return min(max(value, low), high)


@njit
def worth(user: User, world: World, item: int) -> float:
    """Expected reward of an item once it is taken."""
    cfg = world.cfg
    mean = (
        world.pay[item]
        + world.purse[user.person]
        + cfg.pay_taste * match(user, world, item)
        + cfg.pay_follow * likeness(user, world, item)
        - cfg.pay_dull * user.worn[world.topics[item]]
    )
    return within(mean, cfg.pay_low, cfg.pay_high)


@njit
def plan(user: User, world: World, item: int) -> float:
    """Reward now, and roughly what the item costs later by driving the user away."""
    return worth(user, world, item) - world.cfg.plan_leave * world.departure[item]


@njit
def earned(user: User, world: World, item: int) -> float:
    """Reward of the item that is taken."""
    cfg = world.cfg
    mean = worth(user, world, item)
    if cfg.pay_binary > 0:
        share = (mean - cfg.pay_low) / max(cfg.pay_high - cfg.pay_low, 1e-12)
        return cfg.pay_high if uniform(user) < share else cfg.pay_low
    return within(mean + cfg.pay_spread * normal(user), cfg.pay_low, cfg.pay_high)


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Choose by multinomial logit; draw what the choice pays and what is observed of it."""
    last = world.position.size - 1
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k]) + world.position[min(k, last)]
    position = multinomial_logit(scores, none(user, world), uniform(user))
    user.earned = 0.0
    if position >= 0:
        item = slate[position]
        user.earned = earned(user, world, item)
        paid[position] = user.earned
        for r in range(response.size):
            mean = world.response[item, r] + world.slope[r] * (user.earned - world.pay[item])
            noise = world.spread[r] * normal(user)
            response[r] = within(mean + noise, world.low[r], world.high[r])
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """What was had of late fades, and what is taken is added to it."""
    cfg = world.cfg
    keep = np.float32(cfg.keep)
    for z in range(user.worn.size):
        user.worn[z] *= keep
    for d in range(user.recent.size):
        user.recent[d] *= keep
    user.strain *= cfg.strain_keep
    if item < 0:
        user.strain += cfg.leave_idle
        user.total += cfg.idle_pay
        return cfg.idle_pay
    user.worn[world.topics[item]] += np.float32(1.0)
    for d in range(user.recent.size):
        user.recent[d] += world.features[item, d]
    user.strain += world.departure[item] + cfg.leave_paid * (user.earned - world.pay[item])
    user.total += user.earned
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """By chance, more likely after items that users leave after."""
    cfg, most = world.cfg, np.float32(0.0)
    for z in range(user.worn.size):
        most = max(most, user.worn[z])
    logit = cfg.leave_base + world.patience[user.person] + user.strain + cfg.leave_worn * most
    logit += cfg.leave_total * user.total + cfg.leave_step * math.log(1.0 + user.step)
    return uniform(user) < sigmoid(logit)


def shown_features(catalogue: Catalogue) -> NDArray[np.float32]:
    """The features (A, F) that agents see: those of the log's own items, where it had any."""
    shown = catalogue.columns.get("shown", catalogue.vectors)
    return as_reals("column 'shown'", shown, len(catalogue), ndim=2)


def no_default(config: ServedConfig) -> Catalogue:
    """There is no served world without a log."""
    raise ValueError("a served world comes from a log: fit one with longplay calibrate --log")


MODEL = UserModel(
    config=ServedConfig,
    catalogue=no_default,
    fields=lambda config, catalogue: [
        ("worn", "f4", (catalogue.n_topics,)),
        ("recent", "f4", (catalogue.vectors.shape[1],)),
        ("strain", "f8"),
        ("total", "f8"),  # reward of the session so far
        ("earned", "f8"),  # reward of the item just taken
    ],
    world=build_world,
    features=shown_features,
    sample=sample,
    score=score,
    none=none,
    worth=worth,
    plan=plan,
    respond=respond,
    advance=advance,
    leaves=leaves,
    responses=RESPONSES,
    defaults={"slate_size": 3, "n_candidates": 20},
)
