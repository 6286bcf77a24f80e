"""Policies and encoders to damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import recsim_env  # noqa: F401  (registers the environments)
from experiments.reliability.flips.fingerprint import fingerprint
from policies import (
    ENCODERS,
    Cap,
    Exploration,
    Policy,
    ScorePolicy,
    Sequences,
    build,
    checkpoint,
    collect,
    constrained,
    load,
    save,
    serving_of,
)
from policies.baselines.popularity import Popularity
from policies.saving.folders import content_hash
from serving.registry.golden import make_golden

ITEMS = 30
Make = Callable[[Any, int], Policy]


def taught(name: str, **settings: Any) -> Make:
    """A policy of the registry that learns from a log of a few sessions."""

    def make(env: Any, seed: int) -> Policy:
        policy = build(name, env, **settings)
        policy.update(collect(env, build("uniform", env), n_sessions=30, seed=seed))
        return policy

    return make


def agent(env: Any, seed: int) -> Policy:
    """An agent that acted for a moment."""
    learner: Any = build("ppo", env)
    learner.learn(env, total_steps=256, seed=seed)
    policy: Policy = learner
    return policy


def ruled(env: Any, seed: int) -> Policy:
    """Rules around scores."""
    serving = serving_of(env)
    counts = np.exp(np.random.default_rng(seed).normal(size=serving.n_items))
    policy = ScorePolicy(Popularity(serving, counts), Exploration(temperature=1.0))
    return constrained(policy, Cap("shelf", np.arange(serving.n_items, dtype=np.int32) // 2, 1))


POLICIES: dict[str, Make] = {
    "bandit": taught("linucb"),
    "over an encoder": taught("softmax_encoder"),
    "planner": taught("one_step"),
    "agent": agent,
    "rules": ruled,
}


def make_policy(make: Make, folder: Path, seed: int) -> None:
    """Save one."""
    env = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=16, n_items=ITEMS, slate_size=2, n_candidates=6,
        history_length=5, max_steps=4,
    )  # fmt: skip
    save(make(env, seed), folder)


def policy_contents(folder: Path) -> str:
    policy: Any = load(folder)
    answered = make_golden(policy, None)
    return fingerprint(content_hash(policy), answered.first_place, answered.obs.history_items)


def make_encoder(name: str, folder: Path, seed: int) -> None:
    """Fitted to random sequences."""
    rng = np.random.default_rng([seed, 2])
    sequences = Sequences.from_lists([rng.integers(0, ITEMS, 12) for _ in range(40)], n_items=ITEMS)
    settings = {} if name == "markov" else {"dim": 4, "epochs": 1}
    encoder = ENCODERS[name](**settings).fit(sequences)
    checkpoint.save(encoder, folder, catalogue=checkpoint.Catalogue("items", ITEMS))


def encoder_contents(folder: Path) -> str:
    encoder = checkpoint.load(folder)
    history = np.tile(np.arange(5, dtype=np.int32), (3, 1))
    return fingerprint(
        encoder.name, asdict(encoder.config), encoder.to_arrays(), encoder.scores(history)
    )
