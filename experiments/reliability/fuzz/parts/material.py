"""Small valid logs, sizes and observations, and policies and encoders that learned from them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.reliability.fuzz.odd import Arguments, Made
from offpolicy import LoggedDataset, TargetScores
from policies import ENCODERS, POLICIES, Encoder, Observation, Policy, Sequences, Serving
from policies.encoders import encoder

A, C, K, H, U = 12, 6, 2, 4, 2  # items, candidates, places, history, width of the user vector
RESPONSES = ("quality",)
HORIZONS = ("one_step", "per_decision", "trajectory", "marginal")
FEATURES = np.random.default_rng(0).normal(size=(A, 3)).astype(np.float32)
QUICK = {
    "epochs": 1,
    "hidden": 8,
    "dim": 4,
    "sweeps": 2,
    "draws": 4,
    "warm": 4,
    "batch_size": 32,
    "capacity": 64,
}


def serving(*, whole: bool) -> Serving:
    """Sizes over candidates, or over the whole catalogue."""
    return Serving(
        n_items=A,
        slate_size=K,
        history_length=H,
        n_candidates=None if whole else C,
        item_features=FEATURES,
        user_size=U,
        response_names=RESPONSES,
    )


def columns(rng: Generator, *, whole: bool) -> Arguments:
    """Of a log of 1 to 30 sessions."""
    length = rng.integers(1, 5, int(rng.integers(1, 31)))
    n = int(length.sum())
    offer = np.argsort(rng.random((n, A)), axis=1)[:, : A if whole else C]
    slate = offer[:, :K]
    place = np.tile([1 / offer.shape[1], 1 / (offer.shape[1] - 1)], (n, 1))
    took = np.where(rng.random(n) < 0.7, slate[:, 0], -1)
    last = np.cumsum(length) - 1
    given: Arguments = {
        "session": np.repeat(np.arange(len(length)), length),
        "step": np.concatenate([np.arange(one) for one in length]),
        "slate": slate,
        "propensity": place.prod(axis=1),
        "reward": _rewards(rng, n),
        "n_items": A,
        "consumed": took,
        "responses": np.where(took >= 0, rng.random(n), 0.0)[:, None],
        "context": rng.normal(size=(n, U)),
        "terminated": np.isin(np.arange(n), last),
    }
    more: Arguments = {
        "position_propensity": place,
        "position_reward": rng.random((n, K)),
        "user": np.repeat(np.arange(len(length)) // 2, length),
        "logger": np.full(n, "one"),
        "candidate_propensity": np.full(offer.shape, 1 / offer.shape[1]),
        "row_weight": np.ones(n),
        "max_steps": 4,
    }
    given |= {name: x for name, x in more.items() if rng.random() < 0.3}
    if whole:
        given.pop("candidate_propensity", None)
        return given
    return given | {"candidates": offer}


def _rewards(rng: Generator, n: int) -> NDArray[np.float64]:
    """Of several kinds: shares, clicks, amounts of any size, none at all."""
    ways = (
        rng.random(n),
        (rng.random(n) < 0.1) * 1.0,
        rng.lognormal(sigma=3, size=n),
        np.zeros(n),
        rng.normal(size=n),
        np.full(n, 1e9),
    )
    return np.asarray(ways[int(rng.integers(len(ways)))])


def a_log(rng: Generator, *, whole: bool) -> Made:
    """A log that is built, and checked, when the call is made."""
    return Made(LoggedDataset.from_columns, columns(rng, whole=whole))


@cache
def known_log(nth: int = 0, *, whole: bool = True) -> LoggedDataset:
    """One of some logs that stay the same."""
    rng = np.random.default_rng([nth, 5])
    while True:
        log = LoggedDataset.from_columns(**columns(rng, whole=whole))
        if log.n_sessions >= (8 if nth == 0 else 1):
            return log


def any_log(rng: Generator) -> LoggedDataset:
    """One of the known logs."""
    return known_log(int(rng.integers(12)))


def scores(log: LoggedDataset, rng: Generator) -> Made:
    """What some target says of a log."""
    p = np.clip(log.propensity * rng.uniform(0.2, 2.0, len(log)), 0, 1)
    given: Arguments = {
        "propensity": p,
        "slates": rng.integers(0, A, (len(log), 3, log.slate_size)),
    }
    if rng.random() < 0.5:
        root = p ** (1 / log.slate_size)
        given["position_propensity"] = np.repeat(root[:, None], log.slate_size, axis=1)
    return Made(TargetScores, given)


def observation(rng: Generator, *, whole: bool) -> Made:
    """What some users look like."""
    n = int(rng.integers(1, 5))
    items = rng.integers(0, A, (n, H))
    items[np.arange(H) < rng.integers(0, H + 1, (n, 1))] = -1
    offer = np.argsort(rng.random((n, A)), axis=1)[:, :C].astype(np.int32)
    given: Arguments = {
        "history_items": items.astype(np.int32),
        "history_responses": np.where(items >= 0, 0.5, 0.0)[..., None].astype(np.float32),
        "user": rng.normal(size=(n, U)).astype(np.float32),
        "candidates": None if whole else offer,
    }
    if rng.random() < 0.5:
        few = rng.random() < 0.3  # fewer than there are places
        given["eligible"] = rng.random((n, A if whole else C)) < (0.1 if few else 0.6)
    return Made(Observation, given)


def settings_of(builder: Any, given: Arguments) -> Arguments:
    """Those of the given settings that a builder has."""
    from inspect import signature

    return {k: v for k, v in given.items() if k in signature(builder).parameters}


def fresh(name: str, *, whole: bool) -> Policy:
    """A policy that has learned nothing, at a small size."""
    builder = POLICIES[name].load()
    return builder(serving(whole=whole), **settings_of(builder, QUICK))


@cache
def learned(name: str, *, whole: bool) -> Policy:
    """A policy that has learned from a log."""
    import torch

    torch.set_num_threads(1)
    policy = fresh(name, whole=whole)
    policy.update(known_log(whole=whole))
    return policy


def lists(rng: Generator) -> list[NDArray[np.int64]]:
    """Histories of some users."""
    return [rng.integers(0, A, int(rng.integers(2, 9))) for _ in range(20)]


@cache
def fitted(name: str) -> Encoder:
    """An encoder that has learned, at a small size."""
    made = encoder(name, **settings_of(ENCODERS[name].config({}).__class__, QUICK | {"length": 6}))
    return made.fit(Sequences.from_lists(lists(np.random.default_rng(1)), n_items=A))
