"""Rules and objectives around a policy, paths between policies, and mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, Made, pick
from experiments.reliability.fuzz.parts.choices import Drawn, checked_draw
from experiments.reliability.fuzz.parts.material import (
    A,
    C,
    K,
    a_log,
    known_log,
    learned,
    observation,
)
from policies import (
    Banned,
    Cap,
    Mixture,
    PlackettLuce,
    Quota,
    Repeats,
    TopK,
    between,
    constrained,
    furthest_step,
    reranked,
)
from policies.rules.rerank import MMR, Determinantal, FairExposure, Fresh

BASE = ("uniform", "popularity", "top_rated", "linucb", "lints", "softmax_encoder")


def targets() -> list[Target]:
    """Every rule and objective, and what joins policies."""
    rules = {
        "Banned": lambda rng: Made(Banned, {"name": "b", "items": rng.random(A) < 0.3}),
        "Repeats": lambda rng: Made(
            Repeats, {"name": "r", "group": rng.integers(-1, 4, A), "times": 1, "spare": 2}
        ),
        "Cap": lambda rng: Made(Cap, {"name": "c", "group": rng.integers(-1, 4, A), "most": 1}),
        "Quota": lambda rng: Made(
            Quota, {"name": "q", "members": rng.random(A) < 0.5, "least": 1, "most": 2}
        ),
    }
    objectives = {
        "MMR": lambda rng: Made(MMR, {"vectors": rng.normal(size=(A, 3)), "weight": 1.0}),
        "Determinantal": lambda rng: Made(
            Determinantal, {"vectors": rng.normal(size=(A, 3)), "weight": 1.0}
        ),
        "Fresh": lambda rng: Made(
            Fresh, {"age": rng.random(A) * 9, "half_life": 2.0, "weight": 1.0}
        ),
        "FairExposure": lambda rng: Made(
            FairExposure,
            {
                "provider": rng.integers(0, 2, A),
                "due": np.array([0.5, 0.5]),
                "weight": 1.0,
                "exposure": np.array([1.0, 3.0]),
                "updates": 2,
            },
        ),
    }
    made = [_around(name, make, constrained) for name, make in rules.items()]
    made += [_around(name, make, reranked) for name, make in objectives.items()]
    return [*made, *_joined(), *_distributions()]


def _around(name: str, make: Any, wrap: Any) -> Target:
    def given(rng: Generator) -> Arguments:
        whole = bool(rng.integers(2))
        return {
            "policy": learned(pick(BASE, rng), whole=whole),
            "rule": make(rng),
            "obs": observation(rng, whole=whole),
            "log": known_log(whole=whole),
        }

    def call(policy: Any, rule: Any, obs: Any, log: Any) -> Drawn:
        return drawn(wrap(policy, rule), obs)

    return Target(
        name=name, given=given, call=call, check=checked_draw, spared=frozenset({"policy", "log"})
    )


def drawn(policy: Any, obs: Any) -> Drawn:
    """All that a distribution gives."""
    d = policy.distribution(obs)
    slate = d.sample(np.random.default_rng(0))
    return len(obs), slate, d.prefix(slate), d.first_place(), d.ranking(K)


def _joined() -> list[Target]:
    def path(rng: Generator) -> Arguments:
        return {
            "now": learned("uniform", whole=True),
            "share": float(rng.random()),
            "target": learned(pick(BASE, rng), whole=True),
            "kind": pick(("geometric", "mixture"), rng),
            "obs": observation(rng, whole=True),
        }

    def step(rng: Generator) -> Arguments:
        return {
            "choose_log": a_log(rng, whole=True),
            "judge_log": a_log(rng, whole=True),
            "shares": (0.3, 1.0),
            "kind": "mixture",
            "candidates": 1,
            "level": 0.95,
            "seed": 0,
            "chunk": 20,
            "horizon": "per_decision",
        }

    def stepped(**given: Any) -> Any:
        ends = learned("uniform", whole=True), learned("softmax_encoder", whole=True)
        return furthest_step(given.pop("choose_log"), given.pop("judge_log"), *ends, **given)

    ends = frozenset({"now", "target"})
    return [
        Target(
            name="between",
            given=path,
            spared=ends,
            check=checked_draw,
            call=lambda now, target, share, kind, obs: drawn(
                between(now, target, share, kind), obs
            ),
        ),
        Target(name="furthest_step", given=step, call=stepped),
    ]


def _distributions() -> list[Target]:
    def given(rng: Generator) -> Arguments:
        x = rng.normal(size=(3, C))
        return {
            "logits": np.where(rng.random((3, C)) < 0.2, -np.inf, x),
            "places": K,
            "weights": (0.25, 0.75),
        }

    def call(logits: Any, places: Any, weights: Any) -> Drawn:
        parts = PlackettLuce(logits, places), TopK(logits, places)
        d = Mixture(parts, weights)
        slate = d.sample(np.random.default_rng(0))
        return len(logits), slate, d.prefix(slate), d.first_place(), d.ranking(K)

    return [Target(name="Mixture", given=given, call=call)]
