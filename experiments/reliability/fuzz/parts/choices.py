"""Policies: every entry of POLICIES, through each of its doors."""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.random import Generator

from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, pick
from experiments.reliability.fuzz.parts.material import (
    QUICK,
    A,
    H,
    K,
    a_log,
    fresh,
    learned,
    observation,
    serving,
)
from policies import POLICIES, act, recommend, score_log
from policies.observation import Observation


def targets() -> list[Target]:
    """Doors of every policy."""
    return [
        target
        for name in sorted(POLICIES)
        for whole in (False, True)
        for target in _doors(name, whole)
    ]


def _doors(name: str, whole: bool) -> list[Target]:
    where = f"{name}{' whole' if whole else ''}"
    return [
        Target(
            name=f"{where}.distribution",
            given=lambda rng: {"obs": observation(rng, whole=whole)},
            call=partial(distributed, name, whole),
            check=checked_draw,
        ),
        Target(
            name=f"{where}.act",
            given=lambda rng: {"obs": observation(rng, whole=whole)},
            call=lambda obs: act(learned(name, whole=whole), obs, np.random.default_rng(0)),
            check=_decision,
        ),
        Target(
            name=f"{where}.recommend",
            given=_one_user,
            call=lambda history, **more: recommend(learned(name, whole=whole), history, **more),
            check=_ranked,
        ),
        Target(
            name=f"{where}.update",
            given=lambda rng: {"log": a_log(rng, whole=whole)},
            call=lambda log: fresh(name, whole=whole).update(log),
            check=_metrics,
        ),
        Target(
            name=f"{where}.score_log",
            given=lambda rng: {
                "log": a_log(rng, whole=whole),
                "n_slates": 2,
                "seed": 0,
                "chunk": 7,
            },
            call=lambda log, **more: score_log(learned(name, whole=whole), log, **more),
            check=lambda s: None if np.isfinite(s.propensity).all() else "propensity not finite",
        ),
        Target(
            name=f"{where}.build",
            given=partial(_settings, name),
            call=lambda **settings: POLICIES[name].load()(serving(whole=whole), **settings),
        ),
    ]


def _settings(name: str, rng: Generator) -> Arguments:
    """A few of its builder's settings, at their defaults."""
    parameters = list(signature(POLICIES[name].load()).parameters.values())[1:]
    known = {p.name: QUICK.get(p.name, p.default) for p in parameters}
    known = {k: v for k, v in known.items() if v is not None}
    names = sorted(known)
    few = rng.choice(names, size=min(2, len(names)), replace=False).tolist() if names else []
    return {k: known[k] for k in few}


def _one_user(rng: Generator) -> Arguments:
    history = rng.integers(0, A, int(rng.integers(0, 2 * H)))
    return {
        "history": pick((history, history.tolist()), rng),
        "k": pick((None, 1, K, 4), rng),
        "responses": np.full((len(history), 1), 0.5),
        "user": np.zeros(2),
        "candidates": pick((None, [1, 2, 3, 5, 7], list(range(A))), rng),
        "exclude_history": False,
    }


Drawn = tuple[int, Any, Any, Any, Any]


def distributed(name: str, whole: bool, obs: Observation) -> Drawn:
    """All that a distribution gives for an observation."""
    d = learned(name, whole=whole).distribution(obs)
    slate = d.sample(np.random.default_rng(0))
    return len(obs), slate, d.prefix(slate), d.first_place(), d.ranking(K)


def checked_draw(answer: Drawn) -> str | None:
    """What is wrong with what a distribution gave."""
    n, slate, prefix, first, ranking = answer
    if slate.shape != (n, K) or prefix.shape != (n, K) or ranking.shape != (n, K):
        return f"shapes {slate.shape}, {prefix.shape}, {ranking.shape} for {n} users"
    if first.shape[0] != n or not ((first >= 0) & (first <= 1 + 1e-9)).all():
        return "first_place holds no probabilities"
    total = first.sum(axis=1)
    if not (np.isclose(total, 1) | (total == 0)).all():
        return f"first_place sums to {total[:3]}"
    if not ((prefix >= 0) & (prefix <= 1 + 1e-9)).all():
        return "prefix holds no probabilities"
    if not ((slate >= -1) & (slate < first.shape[1])).all():
        return "slate holds columns that there are not"
    return None


def _decision(d: Any) -> str | None:
    if not ((d.slate >= -1) & (d.slate < A)).all():
        return "slate holds items that there are not"
    p = d.propensity
    return None if ((p > 0) & (p <= 1 + 1e-9)).all() else f"propensity {p[:3]}"


def _ranked(items: Any) -> str | None:
    fine = len(set(items.tolist())) == len(items) and ((items >= 0) & (items < A)).all()
    return None if fine else f"ranked {items}"


def _metrics(found: Any) -> str | None:
    return None if isinstance(found, dict) else f"update returned {type(found).__name__}"
