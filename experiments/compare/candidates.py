"""The policies that a comparison trains, and how: from a log, or acting in the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gymnasium.vector import VectorEnv

from experiments.common.building import named_policy, policy_of
from offpolicy import LoggedDataset
from offpolicy.page.colours import BASELINES
from policies import Encoder, Learner, Policy, Sequences

Env = VectorEnv[Any, Any, Any]
# A policy that acts while it learns sees 1,024 decisions between updates: with 8,192 of them the
# 300,000 decisions of a comparison make 37 updates.
ACTING_USERS, ACTING_STEPS = 64, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row of the table: a policy under a name of its own, with its builder's settings."""

    name: str
    policy: str  # name of policies.POLICIES, of one's own module, or a folder
    settings: dict[str, Any]
    learns: bool = True  # False: nothing to draw a learning curve of
    acts: bool = False  # learns by acting in the world, which takes longest
    saved: bool = False  # a folder: it is served as it is


@dataclass(frozen=True, slots=True)
class Material:
    """What candidates may learn from."""

    env: Env  # sizes, and the world for policies that act while they learn
    encoder: Encoder  # frozen
    sequences: Sequences  # what users consumed
    log: LoggedDataset  # the logging policy's training log
    rounds: int  # the log is learnt in this many rounds, with a point of the curve after each
    env_steps: int  # decisions in the world for policies that act while they learn
    seed: int


def default_candidates(temperature: float) -> tuple[Candidate, ...]:
    """The rows of `longplay compare`; `temperature` is the logging policy's.

    The first four stay close enough to the logging policy for its log to speak about them.
    """
    return (
        Candidate(name="uniform", policy="uniform", settings={}, learns=False),
        Candidate(
            name="top rated, sharper", policy="top_rated", settings={"temperature": temperature / 2}
        ),
        Candidate(name="popularity", policy="popularity", settings={"temperature": 2.0}),
        Candidate(
            name="softmax encoder",
            policy="softmax_encoder",
            settings={"temperature": 4.0},
            learns=False,
        ),
        Candidate(name="greedy encoder", policy="greedy_encoder", settings={}, learns=False),
        Candidate(name="top rated", policy="top_rated", settings={}),
        Candidate(name="greedy reward", policy="greedy_reward", settings={}),
        Candidate(name="LinUCB", policy="linucb", settings={}),
        Candidate(name="item return", policy="item_return", settings={}),
        Candidate(name="searched rule", policy="searched_rule", settings={}, acts=True),
        Candidate(name="one-step", policy="one_step", settings={}),
        Candidate(name="fitted Q", policy="fitted_q", settings={}),
        Candidate(name="PPO", policy="ppo", settings={"n_steps": ACTING_STEPS}, acts=True),
    )


def pick_candidates(temperature: float, names: Sequence[str]) -> tuple[Candidate, ...]:
    """The rows asked for, the usual ones for no names: each is the name of a usual row, or a policy
    with its settings (see `named_policy`).

    Raises ValueError for another name, and for two rows of one name, capitals and spaces aside.
    """
    usual = {c.name: c for c in default_candidates(temperature)}
    if not names:
        return tuple(usual.values())
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise ValueError(f"the row {', '.join(twice)} is asked for twice: give labels, label=name")
    chosen = tuple(usual.get(name) or _row_of(name, usual) for name in names)
    labels = [c.name for c in chosen]
    keys = [
        name.lower().replace(" ", "-") for name in (BASELINES[0], *labels)
    ]  # as files have them
    if len(set(keys)) < len(keys):
        raise ValueError(
            f"two rows have one name, of {BASELINES[0]}, which every table has, and "
            f"{', '.join(labels)} (capitals and spaces aside): give other labels"
        )
    return chosen


def _row_of(text: str, usual: Iterable[str]) -> Candidate:
    try:
        named = named_policy(text)
    except ValueError as error:
        rows = ", ".join(map(repr, usual))
        raise ValueError(f"no row {text!r}; there are {rows}. {error}") from None
    return Candidate(
        name=named.label, policy=text, settings={}, learns=not named.is_saved, saved=named.is_saved
    )


def train(candidate: Candidate, material: Material) -> Iterator[tuple[int, Policy]]:
    """Learn in rounds; yields (decisions learned from so far, the policy) before and after each. A
    saved policy is what it was saved as."""
    m = material
    offered = {"encoder": m.encoder, "sequences": m.sequences, "seed": m.seed}
    named = named_policy(candidate.policy)
    policy = policy_of(named, m.env, offered | candidate.settings)
    if candidate.saved:
        yield 0, policy
        return
    yield from _in_world(policy, m) if isinstance(policy, Learner) else _from_log(policy, m)


def _from_log(policy: Policy, material: Material) -> Iterator[tuple[int, Policy]]:
    """Rounds of whole sessions, of other users each."""
    log = material.log
    edges = [log.n_sessions * i // material.rounds for i in range(material.rounds + 1)]
    seen = 0
    yield seen, policy
    for low, high in pairwise(edges):
        part = log.take((log.sessions >= low) & (log.sessions < high))
        policy.update(part)
        seen += len(part)
        yield seen, policy


def _in_world(policy: Any, material: Material) -> Iterator[tuple[int, Policy]]:
    """The agent acts in the world; its state is scaled to the logging policy's log."""
    policy.prepare(material.log)
    steps = material.env_steps // material.rounds
    yield 0, policy
    for nth in range(material.rounds):
        policy.learn(material.env, total_steps=steps, seed=material.seed + nth)
        yield policy.steps, policy
