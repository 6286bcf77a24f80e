"""One cell of the encoder study: fit the encoder, let the agent learn on it, serve other users."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.building import build_with, parameters
from experiments.common.run_folder import RunFolder
from experiments.common.seeds import purpose_seed
from experiments.common.truth import Truth, serve
from experiments.common.workers import torch_threads
from experiments.common.worlds import env_id, make_env
from experiments.study.settings import END_TO_END, NONE, OVER, TUNED, Cell, Settings
from offpolicy import LoggedDataset
from policies import (
    ENCODERS,
    POLICIES,
    Encoder,
    Learner,
    Policy,
    Sequences,
    build,
    collect,
    consumed_sequences,
    serving_of,
)
from policies.rules.constrained import constrained
from policies.rules.constraints import Repeats

PURPOSES = ("warm", "learn", "test")
LENGTH = 20  # of the histories that encoders look back on
WIDTH = 32  # of the recurrent encoder that an agent trains
FINE_TUNE = 0.1  # learning rate of a tuned encoder, as a share of the agent's
BURN_IN = 20_000  # decisions of an agent over a planner in which its critic learns alone, at most
ROUNDS = 4  # parts of the log that a learner takes one after the other
REPLAYS = 2  # how often SlateQ looks at a decision, as often as in `benchmark agents`


def check(settings: Settings) -> None:
    """Raise ValueError for a name that is not in its registry, before anything is written."""
    from policies.encoders.models.neural import NeuralEncoder  # torch, which no worker may need

    tuned = [TUNED + name for name, e in ENCODERS.items() if issubclass(e.load(), NeuralEncoder)]
    wanted: Iterable[tuple[str, Iterable[str], Collection[str]]] = (
        ("encoder", settings.encoders, (NONE, END_TO_END, *ENCODERS, *tuned)),
        ("agent", [part for name in settings.agents for part in name.split(OVER)], POLICIES),
    )
    for kind, names, known in wanted:
        if unknown := sorted({name for name in names if name not in known}):
            raise ValueError(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    for name in settings.agents:
        agent, over, prior = name.partition(OVER)
        if over and ("prior" not in parameters(agent) or OVER in prior):
            raise ValueError(f"agent {name!r}: {agent} cannot start as {prior}")
    for world in settings.worlds:
        make(settings, world, 1)


def make(settings: Settings, world: str, users: int) -> Any:
    """The world for so many parallel users; ValueError for a world that is not there."""
    cut = "model" if settings.max_steps is None else settings.max_steps  # None: for ever
    return make_env(env_id(world), users, max_steps=cut)


def seed_of(cell: Cell, purpose: str) -> int:
    """The same for every encoder and agent: common users and random numbers."""
    return purpose_seed(cell.seed, PURPOSES, purpose)


def compute_all(settings: Settings, cells: list[Cell], folder: Path) -> int:
    """A column's cells, each written to the run folder when it is done; how many they were.

    Raises ExceptionGroup with the error of every cell that failed, after the others.
    """
    errors = list[Exception]()
    for cell in cells:
        try:
            record = compute(settings, cell)
        except Exception as error:  # noqa: BLE001  (raised below, after the others)
            error.add_note(f"cell: {cell.stage}")
            errors.append(error)
        else:
            RunFolder(folder).write_json(f"stages/{cell.stage}.json", record)
    if errors:
        notes = ", ".join(note for error in errors for note in error.__notes__)
        raise ExceptionGroup(f"{errors[0]} ({notes})", errors)
    return len(cells)


def compute(settings: Settings, cell: Cell) -> dict[str, Any]:
    """Returns of every test session, in an order that is the same for all cells of a world."""
    torch_threads(1)
    env = make(settings, cell.world, settings.users)
    warm, encoder = prepared(settings, replace(cell, agent=""))
    policy = agent(env, cell, encoder, warm, settings.steps)
    learn(policy, env, warm, settings, cell)
    test = make(settings, cell.world, settings.users)
    free, strict = (
        serve(test, one, n_sessions=settings.sessions, seed=seed_of(cell, "test"))
        for one in (policy, without_repeats(policy))
    )
    return results(free) | {"no_repeat": results(strict)}


@lru_cache(maxsize=1)
def prepared(settings: Settings, cell: Cell) -> tuple[LoggedDataset, Encoder | None]:
    """The log of uniform slates and the encoder fitted to it: one for all agents of a column."""
    warm = uniform_log(settings, replace(cell, encoder=""), "warm")
    items = serving_of(make(settings, cell.world, 1)).item_features
    return warm, fit(cell, consumed_sequences(warm, item_features=items))


@lru_cache(maxsize=2)
def uniform_log(settings: Settings, cell: Cell, purpose: str) -> LoggedDataset:
    """What encoders ("warm") or agents ("learn") of a world and seed learn from, made once."""
    env, seed = make(settings, cell.world, settings.users), seed_of(cell, purpose)
    uniform = build("uniform", env)
    if purpose == "warm":
        return collect(env, uniform, n_sessions=settings.warm_sessions, seed=seed, logger="warm")
    return collect(env, uniform, n_steps=settings.steps // settings.users, seed=seed)


def results(served: Truth) -> dict[str, Any]:
    """What is written of a cell's test sessions."""
    return {"returns": served.returns.tolist(), "coverage": served.coverage}


def without_repeats(policy: Policy) -> Policy:
    """The same policy where no item of the user's history is shown: nothing that was taken of late.

    Where that would leave fewer candidates than places, those taken longest ago are shown again.
    """
    s = policy.serving
    each = np.arange(s.n_items, dtype=np.int32)
    return constrained(policy, Repeats("nothing taken again", each, spare=s.slate_size))


def fit(cell: Cell, sequences: Sequences) -> Encoder | None:
    """The cell's encoder, small enough that the simulator is the cost."""
    if cell.encoder in (NONE, END_TO_END):
        return None
    unfitted = ENCODERS[cell.encoder.removeprefix(TUNED)].small(length=LENGTH, seed=cell.seed)
    return unfitted.fit(sequences)


def agent(env: Any, cell: Cell, encoder: Encoder | None, warm: LoggedDataset, steps: int) -> Policy:
    """The cell's agent, which has learnt nothing, over its planner, which has learnt the log.

    Over a planner the critic learns first, and the learning rate falls: there is something to lose.
    It is served as the planner is, by the best of its scores.
    """
    settings: dict[str, Any] = {}
    offered = {"encoder": encoder, "seed": cell.seed}
    name, _, planner = cell.agent.partition(OVER)
    if planner:
        settings["prior"] = build_with(planner, env, offered, {})
        settings["prior"].update(warm)
        settings |= {"burn_in": min(BURN_IN, steps // 10), "decay_steps": steps}
        settings["temperature"] = None
    if cell.agent == "slateq":
        settings["batch_size"] = REPLAYS * env.num_envs
    if cell.encoder == END_TO_END:
        settings["end_to_end"] = WIDTH
    if cell.encoder.startswith(TUNED):
        settings["fine_tune"] = FINE_TUNE
    return build_with(name, env, offered, settings)


def learn(policy: Policy, env: Any, warm: LoggedDataset, settings: Settings, cell: Cell) -> None:
    """In the world where the agent can, else from a log of uniform slates of the same size.

    An agent that acts in the world fits its scales to the encoder's log first.
    """
    if isinstance(policy, Learner):
        policy.prepare(warm)
        policy.learn(env, total_steps=settings.steps, seed=seed_of(cell, "learn"))
        return
    log = uniform_log(settings, replace(cell, encoder="", agent=""), "learn")
    edges = [log.n_sessions * i // ROUNDS for i in range(ROUNDS + 1)]
    for low, high in pairwise(edges):
        policy.update(log.take((log.sessions >= low) & (log.sessions < high)))
