"""Curriculum: skills that need other skills; practice teaches, and answers show it only noisily.

Bayesian knowledge tracing (Corbett and Anderson, 1995) over a tree of prerequisites: skill s > 0
needs skill (s - 1) // 2. A practised skill is learned with chance `learn` if its prerequisite is
known (`blocked` times that if not), an answer is right with chance 1 - slip if known, else guess.
Reward is assessed gain: a skill pays when it becomes known, and with forgetting a lost one costs
what it paid.

Whether planning pays is decided by what is assessed, and the exact plan says so (`dynamic`). By
default every skill pays 1 and the immediate-greedy oracle earns what the best plan does, but for
.5 % that it loses where it breaks ties by chance: the gap is about 0. It is about 2 % when a skill
on the way pays a half of an examined one (`step_value`), 5 % at a fifth, and over 300 % at a
twentieth, where greedy practises what cannot be learned yet: such a gap is made by the reward.
Rewarding target skills only is the usual choice of path planners (Liu et al., 2019, "Exploiting
cognitive structure for adaptive learning"): `targets_only`.

    P(learn s)         = learn if its prerequisite is known, else learn blocked
    P(right answer)    = 1 - slip if s is known, else guess
    logit of exercise  = -tedium if its skill is known, else 0; of nothing = refuse
    reward             = value[s] when s becomes known, -value[s] when it is forgotten
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.choice import multinomial_logit
from recsim_env.jit import njit
from recsim_env.model import Law, Row, Span, User, UserModel, World, check_inside, plain_world
from recsim_env.random import uniform

MOST_SKILLS = 16  # of which a table of all sets is made


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumConfig:
    """Chances are per practice, or per step for forgetting."""

    n_skills: int = 15
    exercises: int = 8  # per skill
    learn: float = 0.3
    blocked: float = 0.1  # share of `learn` left when the prerequisite is missing
    slip: float = 0.1
    guess: float = 0.2
    forget: float = 0.0
    known_at_start: float = 0.1  # chance of each skill, where its prerequisite is known
    exam_value: float = 1.0  # of a skill that no other needs
    step_value: float = 1.0  # of a skill on the way
    foresight: float = 0.5  # share of what a skill opens that `plan` counts
    refuse: float = -1.0  # logit of not practising
    tedium: float = 1.0  # logit lost by an exercise of a known skill

    def __post_init__(self) -> None:
        check_inside(self, 1, math.inf, "n_skills", "exercises")
        chances = ("learn", "blocked", "slip", "guess", "forget", "known_at_start", "foresight")
        check_inside(self, 0, 1, *chances)


def targets_only() -> CurriculumConfig:
    """Only the skills that no other needs are examined: paths must be planned."""
    return CurriculumConfig(step_value=0.0)


class CurriculumWorld(NamedTuple):
    """What is the same for all learners."""

    skill: NDArray[np.int32]  # (A,)
    value: NDArray[np.float64]  # (S,)
    promise: NDArray[np.float64]  # (S,) the value, and a share of all that the skill opens
    cfg: Any


def build_catalogue(config: CurriculumConfig) -> Catalogue:
    """The same number of exercises for every skill."""
    skills = np.repeat(np.arange(config.n_skills), config.exercises)
    return Catalogue.of(skills, length=np.ones(len(skills)), n_topics=config.n_skills)


def values(config: CurriculumConfig, n: int) -> NDArray[np.float64]:
    """What each of n skills (n,) pays: those that no other needs are the exam's."""
    last = 2 * np.arange(n) + 1 >= n
    return np.where(last, config.exam_value, config.step_value)


def build_world(
    config: CurriculumConfig, catalogue: Catalogue, population: Population | None
) -> CurriculumWorld:
    """Arrays for the compiled functions; skills are the catalogue's topics."""
    plain = plain_world(config, catalogue, population)
    n = catalogue.n_topics
    value = values(config, n)
    promise = value.copy()
    for s in range(n - 1, 0, -1):
        promise[(s - 1) // 2] += config.foresight * promise[s]
    return CurriculumWorld(plain.topics, value, promise, plain.cfg)


@njit
def sample(user: User, world: World) -> None:
    """Little is known, and nothing without its prerequisite."""
    for s in range(user.known.size):
        u = uniform(user)
        user.known[s] = 1 if ready(user, s) and u < world.cfg.known_at_start else 0


@njit
def ready(user: User, s: int) -> bool:
    """Whether the skill's prerequisite is known."""
    return s == 0 or user.known[(s - 1) // 2] > 0


@njit
def learn_chance(user: User, world: World, s: int) -> float:
    """Chance that one practice teaches the skill."""
    if user.known[s]:
        return 0.0
    return world.cfg.learn * (1.0 if ready(user, s) else world.cfg.blocked)


@njit
def score(user: User, world: World, item: int) -> float:
    """Logit: what is known is tedious."""
    return -world.cfg.tedium * user.known[world.skill[item]]


@njit
def none(user: User, world: World) -> float:
    """Logit of not practising."""
    return world.cfg.refuse


@njit
def worth(user: User, world: World, item: int) -> float:
    """Expected gain of one practice."""
    s = world.skill[item]
    return learn_chance(user, world, s) * world.value[s]


@njit
def plan(user: User, world: World, item: int) -> float:
    """The gain, and a share of what the skill opens."""
    s = world.skill[item]
    return learn_chance(user, world, s) * world.promise[s]


@njit
def respond(user: User, world: World, slate: Row, scores: Row, response: Row, paid: Row) -> int:
    """Practise by multinomial logit, answer, and learn."""
    cfg = world.cfg
    for k in range(slate.size):
        scores[k] = score(user, world, slate[k])
    position = multinomial_logit(scores, none(user, world), uniform(user))
    if position >= 0:
        s = world.skill[slate[position]]
        right = 1.0 - cfg.slip if user.known[s] else cfg.guess
        response[0] = response[1] = 1.0
        response[2] = 1.0 if uniform(user) < right else 0.0
        if uniform(user) < learn_chance(user, world, s):
            user.known[s] = 1
            paid[position] = world.value[s]
    return position


@njit
def advance(user: User, world: World, item: int, response: Row) -> float:
    """Forgetting; returns the value lost."""
    lost = 0.0
    if world.cfg.forget > 0.0:
        for s in range(user.known.size):
            if uniform(user) < world.cfg.forget and user.known[s]:
                user.known[s] = 0
                lost += world.value[s]
    return -lost


@njit
def leaves(user: User, world: World) -> bool:
    """When everything is known."""
    known = 0
    for s in range(user.known.size):
        known += user.known[s]
    return known == user.known.size


def tabular(config: CurriculumConfig, catalogue: Catalogue) -> Law:
    """The law over the 2^S sets of known skills; practice of a skill teaches it, or does not."""
    n = catalogue.n_topics
    if config.forget > 0 or n > MOST_SKILLS:
        raise ValueError(f"the table holds up to {MOST_SKILLS} skills that are not forgotten")
    sets = np.arange(1 << n)
    known = (sets[:, None] >> np.arange(n)) & 1
    ready = np.ones_like(known)
    ready[:, 1:] = known[:, (np.arange(1, n) - 1) // 2]
    learn = config.learn * (1 - known) * np.where(ready, 1.0, config.blocked)
    odds = np.where(ready, config.known_at_start, 0.0)
    gain = np.zeros((len(sets), n + 1, 2))
    gain[:, :n, 1] = values(config, n)
    chance = np.zeros_like(gain)
    chance[:, :n, 1] = learn
    chance[:, :, 0] = 1 - chance[:, :, 1]
    after = np.repeat(sets[:, None, None], n + 1, 1).repeat(2, 2)
    after[:, :n, 1] |= 1 << np.arange(n)
    after[after == len(sets) - 1] = -1
    return Law(
        weight=np.exp(np.column_stack([-config.tedium * known, np.full(len(sets), config.refuse)])),
        chance=chance,
        reward=gain,
        after=after,
        start=np.where(known, odds, 1 - odds).prod(1),
        kind=catalogue.topics.astype(np.int64),
        state=lambda users: users["known"].astype(np.int64) @ (1 << np.arange(n)),
    )


MODEL = UserModel(
    config=CurriculumConfig,
    catalogue=build_catalogue,
    world=build_world,
    fields=lambda config, catalogue: [("known", "i1", (catalogue.n_topics,))],
    sample=sample,
    respond=respond,
    advance=advance,
    leaves=leaves,
    score=score,
    worth=worth,
    none=none,
    plan=plan,
    tabular=tabular,
    responses=Span(("click", "watch_time", "quality"), 0.0, 1.0),
    defaults={"slate_size": 1, "n_candidates": 20, "max_steps": 40},
)
