"""Estimators: every entry of ESTIMATORS over odd terms, and what makes intervals of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

import offpolicy as ope
from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, Made
from experiments.reliability.fuzz.parts import terms
from offpolicy import ESTIMATORS, Terms
from offpolicy.estimators import hyper_parameters


def targets() -> list[Target]:
    """Doors of every estimator, of intervals, and of what makes terms."""
    return [_estimator(name) for name in sorted(ESTIMATORS)] + [
        *_intervals(),
        *_comparisons(),
        *terms.targets(),
    ]


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
    """Bounds of an estimate."""
    return [
        _interval_of(ope.interval, method="t", side="both"),
        _interval_of(ope.hoeffding, bounds=(-1e4, 1e4)),
        _interval_of(ope.empirical_bernstein, bounds=(-1e4, 1e4)),
        _interval_of(ope.empirical_likelihood),
        _interval_of(ope.gamma_interval, unseen=(0.0, 0.0)),
        _interval_of(ope.confidence_sequence, tuned_at=1000.0),
        Target(name="simultaneous", given=_estimate, call=_simultaneous),
        Target(name="cressie_read", given=_ranged, call=ope.cressie_read),
    ]


def _interval_of(function: Any, **more: Any) -> Target:
    def call(terms: Terms, level: Any, **given: Any) -> Any:
        return function(ope.estimate(terms, "ips"), level=level, **given)

    def given(rng: Generator) -> Arguments:
        return _estimate(rng) | more

    return Target(name=function.__name__, given=given, call=call)


def _simultaneous(terms: Terms, level: Any) -> Any:
    found = ope.estimate_all(terms, ["ips", "snips"])
    return ope.simultaneous(found, level)


def _ranged(rng: Generator) -> Arguments:
    return _estimate(rng) | {"weight_range": (0.0, 1e3), "reward_range": (-50.0, 50.0)}


def _comparisons() -> list[Target]:
    """What sets estimators, settings and outcomes side by side."""
    return [
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
