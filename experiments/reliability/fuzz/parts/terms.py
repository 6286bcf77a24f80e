"""Estimators: what makes terms of logs, of arrays and of features."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

import offpolicy as ope
from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, pick
from experiments.reliability.fuzz.parts.material import HORIZONS, A, any_log, scores


def targets() -> list[Target]:
    """Doors of what makes terms."""
    return [*_of_logs(), *_of_arrays(), *_of_sessions()]


def _target(name: str, function: Any, given: Any) -> Target:
    return Target(name=name, given=given, call=function, spared=frozenset({"log"}))


def _of_logs() -> list[Target]:
    """Terms of a log and the target's scores."""
    return [
        _target(
            "terms", ope.terms, lambda rng: _logged(rng, horizon=pick(HORIZONS, rng), gamma=1.0)
        ),
        _target(
            "slate_terms",
            ope.slate_terms,
            lambda rng: _logged(
                rng, weighting=pick(("standard", "independent", "reward_interaction"), rng)
            ),
        ),
        _target(
            "balanced_terms",
            ope.balanced_terms,
            lambda rng: _logged(rng, folds=2, seed=0, item_features=np.ones((A, 2))),
        ),
        _target(
            "logger_terms",
            ope.logger_terms,
            lambda rng: _logged(rng, mode=pick(("naive", "balanced", "weighted"), rng), folds=2),
        ),
        _target("marginal_terms", ope.marginal_terms, _state),
        _target(
            "predict_rewards",
            ope.predict_rewards,
            lambda rng: _logged(
                rng,
                horizon=pick(HORIZONS, rng),
                folds=2,
                ridge=10.0,
                gamma=1.0,
                seed=0,
                item_features=np.ones((A, 2)),
            ),
        ),
    ]


def _logged(rng: Generator, **more: Any) -> Arguments:
    log = any_log(rng)
    return {"log": log, "scores": scores(log, rng)} | more


def _state(rng: Generator) -> Arguments:
    log = any_log(rng)
    return {
        "log": log,
        "scores": scores(log, rng),
        "state": rng.integers(0, 3, len(log)),
        "gamma": 1.0,
    }


def _of_arrays() -> list[Target]:
    """Terms of arrays of actions, whose probabilities a function tells."""
    one = _table(np.random.default_rng(0))
    return [
        _target("kernel_terms", ope.kernel_terms, _continuous),
        _target("mips_terms", partial(ope.mips_terms, one), _mips),
        _target("offcem_terms", partial(ope.offcem_terms, one), _clusters),
        _target("action_terms", partial(ope.action_terms, one), _actions),
        _target("estimated_mips_terms", partial(ope.estimated_mips_terms, one), _estimated),
        _target(
            "estimate_propensity",
            ope.estimate_propensity,
            lambda rng: {
                "action": rng.integers(0, 3, 20),
                "context": rng.random((20, 2)),
                "n_items": 3,
                "folds": 2,
                "seed": 0,
            },
        ),
    ]


def _table(rng: Generator, width: int = 3) -> Any:
    p = rng.dirichlet(np.ones(width), 9)
    return lambda rows: (p[rows], p[rows])


def _continuous(rng: Generator) -> Arguments:
    return {
        "action": rng.random(9),
        "target_action": rng.random(9),
        "density": rng.random(9) + 0.5,
        "reward": rng.random(9),
        "bandwidth": 0.3,
        "kernel": "epanechnikov",
        "bounds": (np.zeros(9), np.ones(9)),
        "q_logged": rng.random(9),
        "v_target": rng.random(9),
    }


def _mips(rng: Generator) -> Arguments:
    return {
        "embedding": rng.integers(0, 2, (9, 1)),
        "reward": rng.random(9),
        "embedding_given_action": [np.full((3, 2), 0.5)],
        "unit": np.arange(9),
    }


def _clusters(rng: Generator) -> Arguments:
    return {
        "action": rng.integers(0, 3, 9),
        "cluster": np.array([0, 0, 1]),
        "reward": rng.random(9),
        "unit": np.arange(9),
    }


def _actions(rng: Generator) -> Arguments:
    return {
        "action": rng.integers(0, 3, 9),
        "n_actions": 3,
        "reward": rng.random(9),
        "unit": np.arange(9),
    }


def _estimated(rng: Generator) -> Arguments:
    return {
        "action": rng.integers(0, 3, 9),
        "context": rng.random((9, 2)),
        "reward": rng.random(9),
        "embedding": rng.random((9, 2)),
        "folds": 2,
        "seed": 0,
    }


def _of_sessions() -> list[Target]:
    """Terms of sessions: their first steps, a mixture, features of their rows."""
    return [
        _target("first_steps", ope.first_steps, lambda rng: {"log": any_log(rng), "steps": 2}),
        _target(
            "session_mixture",
            ope.session_mixture,
            lambda rng: {
                "log": (log := any_log(rng)),
                "present": log.propensity * 0.9,
                "target": log.propensity * 0.5,
                "share": 0.5,
            },
        ),
        _target("dice_terms", ope.dice_terms, _features),
        _target("fitted_q", ope.fitted_q, _features),
    ]


def _features(rng: Generator) -> Arguments:
    """A log and features (N, D) of it by kind."""
    log = any_log(rng)
    x = rng.random((len(log), 2))
    return {
        "log": log,
        "logged": lambda rows: x[rows],
        "target": lambda rows: x[rows] * 0.5,
        "gamma": 0.9,
    }
