"""The classic worlds, what is known of them, and the returns that agents are to reach there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium

import recsim_env  # noqa: F401  (registers the environments)
from experiments.train.learning import LearnFrom


class KnownWorld(NamedTuple):
    """A world and what is known of it."""

    name: str
    env: str
    known: str
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One agent in one world, and the mean return of a session that it is to reach."""

    world: KnownWorld
    agent: str
    policy: str  # key of policies.POLICIES
    settings: dict[str, Any]
    steps: int  # decisions of a round
    rounds: int
    users: int
    falling: bool = False  # the step size, over all rounds
    goal: float | None  # of the mean over seeds; None: a rival, which agents are to beat
    each: float  # of every seed
    learn_from: LearnFrom = "own"  # whose decisions a policy that learns from logs learns from
    against: tuple[float, ...] = ()  # value = gain over the best of these levels and uniform slates


IE = KnownWorld(
    "InterestEvolution, 3 of 10",
    "recsim_env/InterestEvolution-v0",
    "random 160.6, myopic 167.4, literature 175, topic-quality oracle 265.4",
)
KNOWN_BOREDOM = "random 8.6, greedy oracle 50.8, limit 100"
BOREDOM = KnownWorld("Boredom", "recsim_env/Boredom-v0", KNOWN_BOREDOM)
LATENT = KnownWorld("Boredom, interests shown", BOREDOM.env, KNOWN_BOREDOM, {"observe": "latent"})
TENS = KnownWorld(
    "Boredom, 10 of 1000",
    BOREDOM.env,
    "random 42.9, greedy oracle 145.4, published 143.5",
    {"slate_size": 10},
)
SATISFACTION = KnownWorld(
    "LongTermSatisfaction",
    "recsim_env/LongTermSatisfaction-v0",
    "gain of a session over the better of uniform slates and the best fixed clickbait level",
)
WORLDS = (IE, LATENT, SATISFACTION, BOREDOM, TENS)
ALTERNATE = {"gamma": 0.9, "windows": (1, 3, 5, 10), "entropy": 0.001, "batch_size": 512}

AGENTS = (
    Target(
        world=IE,
        agent="SlateQ",
        policy="slateq",
        settings={"gamma": 0.998},
        falling=True,
        steps=400_000,
        rounds=20,
        users=512,
        goal=275.0,
        each=265.0,
    ),
    Target(
        world=IE,
        agent="PPO",
        policy="ppo",
        settings={"gamma": 0.995, "entropy": 0.0},
        steps=400_000,
        rounds=15,
        users=512,
        goal=250.0,
        each=240.0,
    ),
    Target(
        world=LATENT,
        agent="PPO",
        policy="ppo",
        settings=ALTERNATE,
        steps=200_000,
        rounds=10,
        users=128,
        goal=90.0,
        each=85.0,
    ),
    Target(
        world=SATISFACTION,
        agent="PPO",
        policy="ppo",
        settings={
            "gamma": 0.9,  # exposure is forgotten by .7 a step: what lies further on is noise
            "gae_lambda": 0.8,
            "windows": (1, 2, 3, 5),
            "entropy": 0.0,
            "batch_size": 16_384,  # minutes are log-normal: a small batch teaches its own noise
            "learning_rate": 3e-3,
        },
        falling=True,
        steps=1_200_000,
        rounds=4,
        users=1024,
        goal=0.0,
        each=0.0,
        against=(0.3, 0.35, 0.39, 0.45, 0.5, 0.55, 0.6),
    ),
    Target(
        world=BOREDOM,
        agent="PPO",
        policy="ppo",
        settings=ALTERNATE,
        falling=True,
        steps=200_000,
        rounds=10,
        users=128,
        goal=60.0,
        each=55.0,
    ),
    Target(
        world=TENS,
        agent="PPO",
        policy="ppo",
        settings=ALTERNATE,
        falling=True,
        steps=100_000,
        rounds=10,
        users=128,
        goal=143.5,
        each=143.5,
    ),
)


# What agents have to beat in every world.
RIVALS = {"top rated": "top_rated", "item return": "item_return", "searched rule": "searched_rule"}


def rivals(world: KnownWorld) -> tuple[Target, ...]:
    """A ranking by mean responses, the item-return planner and a searched rule, in one world."""
    return tuple(
        Target(
            world=world,
            agent=agent,
            policy=policy,
            settings={},
            learn_from="uniform",
            steps=400_000,
            rounds=1,
            users=128,
            goal=None,
            each=0.0,
        )
        for agent, policy in RIVALS.items()
    )


TARGETS = AGENTS + tuple(row for world in WORLDS for row in rivals(world))


def stage_of(target: Target, seed: int) -> str:
    """The file name of a target's seed."""
    return f"{name_of(target)} {seed}".replace(" ", "-").replace(",", "").replace("/", "-")


def name_of(target: Target) -> str:
    """How a row is called."""
    return f"{target.world.name}/{target.agent}"


def make(target: Target, users: int) -> Any:
    """The target's world."""
    return gymnasium.make_vec(target.world.env, num_envs=users, **(target.world.settings or {}))
