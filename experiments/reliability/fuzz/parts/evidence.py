"""Estimators: every entry of ESTIMATORS over odd terms, and what makes terms and intervals."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

import offpolicy as ope
from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, Made, pick
from experiments.reliability.fuzz.parts.material import HORIZONS, A, any_log, scores
from offpolicy import ESTIMATORS, Terms
from offpolicy.estimators import hyper_parameters


def targets() -> list[Target]:
    """Doors of every estimator, of intervals, and of what makes terms."""
    return [_estimator(name) for name in sorted(ESTIMATORS)] + _intervals() + _terms()


def some_terms(rng: Generator) -> Made:
    """Rows of a few sessions."""
    length = rng.integers(1, 4, int(rng.integers(1, 12)))
    n = int(length.sum())
    given: Arguments = {
        "weight": rng.lognormal(size=n),
        "reward": rng.normal(size=n),
        "q_logged": rng.normal(size=n),
        "v_target": rng.normal(size=n),
        "unit": np.repeat(np.arange(len(length)), length),
        "weight_before": rng.lognormal(size=n),
        "discount": np.full(n, 0.9),
        "stratum": np.concatenate([np.arange(one) for one in length]),
        "session": np.repeat(np.arange(len(length)), length),
        "row_weight": np.ones(n),
    }
    optional = [
        "weight_before",
        "discount",
        "stratum",
        "session",
        "row_weight",
        "q_logged",
        "v_target",
    ]
    return Made(Terms, {k: v for k, v in given.items() if k not in optional or rng.random() < 0.7})


def _estimator(name: str) -> Target:
    return Target(
        name=name,
        given=lambda rng: {"terms": some_terms(rng), **hyper_parameters(name)},
        call=partial(valued, name),
        check=_interval,
    )


def valued(name: str, terms: Terms, **hyper: Any) -> Any:
    """An estimate's interval; and whether weights are left, else there may be no value."""
    return ope.interval(ope.estimate(terms, name, **hyper)), terms.weightless


def _interval(answer: Any) -> str | None:
    i, weightless = answer
    if not np.isfinite(i.value) and not weightless:
        return f"the value is {i.value}"
    fine = weightless or i.low <= i.value <= i.high
    return None if fine else f"{i.value} is not in [{i.low}, {i.high}]"


def _estimate(rng: Generator) -> Arguments:
    return {"terms": some_terms(rng), "level": 0.95}


def _intervals() -> list[Target]:
    def of(function: Any, **more: Any) -> Target:
        def call(terms: Terms, level: Any, **given: Any) -> Any:
            return function(ope.estimate(terms, "ips"), level=level, **given)

        def given(rng: Generator) -> Arguments:
            return _estimate(rng) | more

        return Target(name=function.__name__, given=given, call=call)

    def many(terms: Terms, level: Any) -> Any:
        found = ope.estimate_all(terms, ["ips", "snips"])
        return ope.simultaneous(found, level)

    def ranged(rng: Generator) -> Arguments:
        return _estimate(rng) | {"weight_range": (0.0, 1e3), "reward_range": (-50.0, 50.0)}

    return [
        of(ope.interval, method="t", side="both"),
        of(ope.hoeffding, bounds=(-1e4, 1e4)),
        of(ope.empirical_bernstein, bounds=(-1e4, 1e4)),
        of(ope.empirical_likelihood),
        of(ope.gamma_interval, unseen=(0.0, 0.0)),
        of(ope.confidence_sequence, tuned_at=1000.0),
        Target(name="simultaneous", given=_estimate, call=many),
        Target(name="cressie_read", given=ranged, call=ope.cressie_read),
        Target(
            name="bootstrap",
            call=ope.bootstrap,
            given=lambda rng: {**_estimate(rng), "names": ["ips"], "draws": 20, "seed": 0},
        ),
        Target(
            name="outcome_distribution",
            call=ope.outcome_distribution,
            given=lambda rng: {"terms": some_terms(rng), "normalise": True},
        ),
        Target(
            name="diagnose",
            call=ope.diagnose,
            given=lambda rng: {"terms": some_terms(rng), "weight_bound": 100.0},
        ),
        Target(
            name="choose_setting",
            call=ope.choose_setting,
            given=lambda rng: {
                "terms": some_terms(rng),
                "name": "clipped_ips",
                "setting": "cap",
                "grid": (1.0, 5.0),
                "level": 0.25,
            },
        ),
        Target(
            name="cross_validate",
            call=ope.cross_validate,
            given=lambda rng: {
                "terms": some_terms(rng),
                "names": ["ips", "snips"],
                "splits": 2,
                "seed": 0,
            },
        ),
        Target(
            name="partial",
            given=lambda rng: {"terms": some_terms(rng)},
            call=lambda terms: ope.partial(terms, ["ips", "snips"]),
        ),
        Target(
            name="trial_uplift",
            call=ope.trial_uplift,
            given=lambda rng: {
                "returns": rng.random(9),
                "treated": rng.random(9) < 0.5,
                "unit": np.arange(9) // 2,
            },
        ),
    ]


def _terms() -> list[Target]:
    def logged(rng: Generator, **more: Any) -> Arguments:
        log = any_log(rng)
        return {"log": log, "scores": scores(log, rng)} | more

    def target(name: str, function: Any, given: Any) -> Target:
        return Target(name=name, given=given, call=function, spared=frozenset({"log"}))

    def table(rng: Generator, width: int = 3) -> Any:
        p = rng.dirichlet(np.ones(width), 9)
        return lambda rows: (p[rows], p[rows])

    def state(rng: Generator) -> Arguments:
        log = any_log(rng)
        return {
            "log": log,
            "scores": scores(log, rng),
            "state": rng.integers(0, 3, len(log)),
            "gamma": 1.0,
        }

    def continuous(rng: Generator) -> Arguments:
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

    def mips(rng: Generator) -> Arguments:
        return {
            "embedding": rng.integers(0, 2, (9, 1)),
            "reward": rng.random(9),
            "embedding_given_action": [np.full((3, 2), 0.5)],
            "unit": np.arange(9),
        }

    def clusters(rng: Generator) -> Arguments:
        return {
            "action": rng.integers(0, 3, 9),
            "cluster": np.array([0, 0, 1]),
            "reward": rng.random(9),
            "unit": np.arange(9),
        }

    def actions(rng: Generator) -> Arguments:
        return {
            "action": rng.integers(0, 3, 9),
            "n_actions": 3,
            "reward": rng.random(9),
            "unit": np.arange(9),
        }

    def estimated(rng: Generator) -> Arguments:
        return {
            "action": rng.integers(0, 3, 9),
            "context": rng.random((9, 2)),
            "reward": rng.random(9),
            "embedding": rng.random((9, 2)),
            "folds": 2,
            "seed": 0,
        }

    one = table(np.random.default_rng(0))
    return [
        target("terms", ope.terms, lambda rng: logged(rng, horizon=pick(HORIZONS, rng), gamma=1.0)),
        target(
            "slate_terms",
            ope.slate_terms,
            lambda rng: logged(
                rng, weighting=pick(("standard", "independent", "reward_interaction"), rng)
            ),
        ),
        target(
            "balanced_terms",
            ope.balanced_terms,
            lambda rng: logged(rng, folds=2, seed=0, item_features=np.ones((A, 2))),
        ),
        target(
            "logger_terms",
            ope.logger_terms,
            lambda rng: logged(rng, mode=pick(("naive", "balanced", "weighted"), rng), folds=2),
        ),
        target("marginal_terms", ope.marginal_terms, state),
        target(
            "predict_rewards",
            ope.predict_rewards,
            lambda rng: logged(
                rng,
                horizon=pick(HORIZONS, rng),
                folds=2,
                ridge=10.0,
                gamma=1.0,
                seed=0,
                item_features=np.ones((A, 2)),
            ),
        ),
        target("kernel_terms", ope.kernel_terms, continuous),
        target("mips_terms", partial(ope.mips_terms, one), mips),
        target("offcem_terms", partial(ope.offcem_terms, one), clusters),
        target("action_terms", partial(ope.action_terms, one), actions),
        target("estimated_mips_terms", partial(ope.estimated_mips_terms, one), estimated),
        target(
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
        target("first_steps", ope.first_steps, lambda rng: {"log": any_log(rng), "steps": 2}),
        target(
            "session_mixture",
            ope.session_mixture,
            lambda rng: {
                "log": (log := any_log(rng)),
                "present": log.propensity * 0.9,
                "target": log.propensity * 0.5,
                "share": 0.5,
            },
        ),
        target("dice_terms", ope.dice_terms, features_of),
        target("fitted_q", ope.fitted_q, features_of),
    ]


def features_of(rng: Generator) -> Arguments:
    """A log and features (N, D) of it by kind."""
    log = any_log(rng)
    x = rng.random((len(log), 2))
    return {
        "log": log,
        "logged": lambda rows: x[rows],
        "target": lambda rows: x[rows] * 0.5,
        "gamma": 0.9,
    }
