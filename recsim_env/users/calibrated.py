"""Calibrated: users fitted to a real log of consumption (see `recsim_env.calibrate`).

A conditional logit (McFadden, 1974) over what is offered, with the terms of a factorised
personalised Markov chain (Rendle, Freudenthaler and Schmidt-Thieme, 2010) and of boredom:

    utility = taste cos(person, item) + follow lead[last] . trail[item] - dull boredom[topic]
              + (tilt + renown pull[person]) log popularity + repeat [had before]
              + log attention[position]

Candidates are meant to be drawn by popularity, as the fit assumes. A person is a row of the
population: own interests, own pull to what is popular, own number of steps. What a log of
consumption does not tell is not guessed: quality and satisfaction play no part, and `no_choice`,
the utility of taking nothing, is out of reach until you raise it. Reward is 1 per item taken.

Steps do not depend on what is served and so the world says little of retention; planning can pay
only through boredom and the chain: its gap is about 0 unless those are strong.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.choice import multinomial_logit
from recsim_env.columns import check_rows, shaped_columns
from recsim_env.jit import njit, njit_sums
from recsim_env.model import PLAIN_RESPONSES, Row, User, UserModel, World, check_inside, constants
from recsim_env.random import uniform

# What it reads beside the catalogue's own columns, one letter for each dimension: A items, E
# factors of the chain, U persons.
COLUMNS = {"lead": "AE", "trail": "AE", "fame": "A", "offset": "A"}
TRAITS = {"pull": "U", "steps": "U"}
MOST_STEPS = 2**20  # of a person: float32 counts them one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedConfig:
    """Coefficients of the utility, in logits; the defaults are no world's in particular."""

    taste: float = 3.0  # per unit of cosine: the inverse of the choice temperature
    follow: float = 0.5  # per unit of log-lift that the item follows the last one
    dull: float = 0.0  # per unit of boredom; below 0 topics come in runs
    boredom_keep: float = 0.9  # per item; boredom is the fading share of a topic in what was had
    tilt: float = 0.0  # of log popularity for everybody: its power is 1 + tilt
    renown: float = 1.0  # of a person's own pull to popular items
    repeat: float = -50.0  # of an item had before; -50: never again
    no_choice: float = -50.0  # of taking nothing: no log of consumption tells it

    def __post_init__(self) -> None:
        check_inside(self, 0, 1, "boredom_keep")


class CalibratedWorld(NamedTuple):
    """What is the same for all users; U persons."""

    vectors: NDArray[np.float32]  # (A, D) of length 1
    lead: NDArray[np.float32]  # (A, E) of the item before
    trail: NDArray[np.float32]  # (A, E) of the item after
    fame: NDArray[np.float32]  # (A,) log popularity, 0 on average over offers
    offset: NDArray[np.float32]  # (A,) added to every utility; 0 where offers follow popularity
    topics: NDArray[np.int32]  # (A,)
    people: NDArray[np.float32]  # (U, D) of length 1
    pull: NDArray[np.float32]  # (U,)
    steps: NDArray[np.float32]  # (U,) >= 1
    past: NDArray[np.int32]  # (U, H0) items had before, -1 on the left
    attention: NDArray[
        np.float32
    ]  # (K',) log of how well each position is seen; further positions: 0
    cfg: Any


def build_world(
    config: CalibratedConfig, catalogue: Catalogue, population: Population | None
) -> CalibratedWorld:
    """Arrays for the compiled functions; ValueError names what a calibrated world lacks."""
    if population is None:
        raise ValueError("a calibrated world needs the population that it was fitted to")
    n, width = catalogue.vectors.shape
    population.check_fits(n_items=n, width=width, n_responses=len(PLAIN_RESPONSES.names))
    what, sizes = "a calibrated world", {"A": n, "U": len(population)}
    arrays = shaped_columns(what, catalogue.columns, COLUMNS, sizes)
    arrays |= shaped_columns(what, population.traits, TRAITS, sizes)
    attention = {"attention": np.zeros(0)}
    if np.size(population.traits.get("attention", ())):
        attention = shaped_columns(what, population.traits, {"attention": "K"}, sizes)
    steps = arrays["steps"]
    few = ~((steps >= 1) & (steps <= MOST_STEPS))
    check_rows("steps", few, f"must lie in 1..{MOST_STEPS}", steps)
    past = population.first_items
    return CalibratedWorld(
        vectors=unit(catalogue.vectors),
        topics=catalogue.topics,
        people=unit(population.interests),
        past=np.zeros((len(population), 0), np.int32) if past is None else past.astype(np.int32),
        cfg=constants(config),
        **{name: array.astype(np.float32) for name, array in (arrays | attention).items()},
    )


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Rows at length 1; a row of zeros stays."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(norm > 0, norm, 1), np.float32)


@njit
def had(user: User, item: int) -> bool:
    """Whether the user had the item before."""
    return (user.had[item >> 6] >> np.uint64(item & 63)) & np.uint64(1) > 0


@njit
def take(user: User, world: World, item: int) -> None:
    """The item is had, is the last one, and its topic is a little more worn."""
    user.had[item >> 6] |= np.uint64(1) << np.uint64(item & 63)
    user.last = item
    keep = world.cfg.boredom_keep
    for z in range(user.boredom.size):
        user.boredom[z] *= np.float32(keep)
    user.boredom[world.topics[item]] += np.float32(1.0 - keep)


@njit
def sample(user: User, world: World) -> None:
    """The person, and what they had before."""
    for w in range(user.had.size):
        user.had[w] = 0
    for z in range(user.boredom.size):
        user.boredom[z] = 0.0
    user.last = -1
    user.left = world.steps[user.person]
    for h in range(world.past.shape[1]):
        if world.past[user.person, h] >= 0:
            take(user, world, world.past[user.person, h])


@njit_sums
def inner(a: Row, b: Row) -> Any:
    """Inner product."""
    total = np.float32(0.0)
    for d in range(a.size):
        total += a[d] * b[d]
    return total


@njit
def score(user: User, world: World, item: int) -> float:
    """Utility of an item now, wherever it stands."""
    cfg = world.cfg
    total = cfg.taste * inner(world.people[user.person], world.vectors[item])
    total -= cfg.dull * user.boredom[world.topics[item]]
    pull = cfg.tilt + cfg.renown * world.pull[user.person]
    total += pull * world.fame[item] + world.offset[item]
    if user.last >= 0:
        total += cfg.follow * inner(world.lead[user.last], world.trail[item])
    return total + cfg.repeat if had(user, item) else total


@njit
def none(user: User, world: World) -> float:
    """Utility of taking nothing."""
    return world.cfg.no_choice


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Choose by multinomial logit; positions further down are seen less."""
    for k in range(slate.size):
        seen = world.attention[k] if k < world.attention.size else 0.0
        scores[k] = score(user, world, slate[k]) + seen
    position = multinomial_logit(scores, none(user, world), uniform(user))
    if position >= 0:
        paid[position] = response[0] = response[1] = 1.0
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """One step fewer; what is taken is had."""
    user.left -= 1.0
    if item >= 0:
        take(user, world, item)
    return 0.0


@njit
def leaves(user: User, world: World) -> bool:
    """After the person's own number of steps."""
    return user.left < 0.5


MODEL = UserModel(
    config=CalibratedConfig,
    catalogue=lambda config: check_default(),
    fields=lambda config, catalogue: [
        ("had", "u8", ((len(catalogue) + 63) // 64,)),  # one bit per item
        ("boredom", "f4", (catalogue.n_topics,)),
        ("left", "f4"),
        ("last", "i4"),
    ],
    world=build_world,
    features=lambda catalogue: catalogue.vectors,
    sample=sample,
    score=score,
    none=none,
    respond=respond,
    advance=advance,
    leaves=leaves,
    defaults={"slate_size": 10, "n_candidates": 50},
)


def check_default() -> Catalogue:
    """There is no calibrated world without a log."""
    raise ValueError("a calibrated world comes from a log: load it with recsim_env.calibrate")
