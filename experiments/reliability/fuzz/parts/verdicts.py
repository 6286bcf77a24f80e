"""Logs: the doors of the decision log, and everything that judges one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator

import offpolicy as ope
from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, Made, pick
from experiments.reliability.fuzz.parts.material import HORIZONS, a_log, any_log, columns, scores
from offpolicy import GateRule, GuardrailSpec, LoggedDataset, TargetScores
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.report import drift
from offpolicy.poisoning.checking import check_users
from offpolicy.trials.exposure import sample_ratio
from offpolicy.trials.units import units_of

LOG = frozenset({"log"})


def targets() -> list[Target]:
    """Doors of logs and of judges."""
    return _logs() + _evaluators() + _doctors() + _selectors() + _trials()


def _rule(rng: Generator) -> Made:
    return Made(GateRule, {"min_ess": 5.0, "min_uplift": 0.0, "confidence": 0.95})


def _logs() -> list[Target]:
    def whole(rng: Generator) -> Arguments:
        return columns(rng, whole=bool(rng.integers(2)))

    def scored(rng: Generator) -> Arguments:
        return {"scores": scores(any_log(rng), rng)}

    def rows(rng: Generator) -> Arguments:
        log = any_log(rng)
        return {"log": log, "rows": rng.integers(0, len(log), 4)}

    def framed(rng: Generator) -> Arguments:
        given = columns(rng, whole=True)
        names = {k: v for k, v in given.items() if isinstance(v, np.ndarray) and v.ndim == 1}
        return names | {"slate": given["slate"][:, 0], "n_items": given["n_items"]}

    def read(n_items: Any, **table: Any) -> LoggedDataset:
        return ope.read_log(pd.DataFrame(table), n_items=n_items)

    def matched(rng: Generator) -> Arguments:
        log = any_log(rng)
        return {"log": log, "session": log.session, "step": log.step, "propensity": log.propensity}

    def match(log: LoggedDataset, **table: Any) -> TargetScores:
        return ope.match_scores(log, pd.DataFrame(table))

    def fresh_log(rng: Generator) -> Arguments:
        return {"log": a_log(rng, whole=True), "length": 3}

    return [
        Target(name="LoggedDataset.from_columns", given=whole, call=LoggedDataset.from_columns),
        Target(name="TargetScores", given=scored, call=lambda scores: scores),
        Target(
            name="LoggedDataset.take", given=rows, call=lambda log, rows: log.take(rows), spared=LOG
        ),
        Target(
            name="LoggedDataset.histories",
            given=fresh_log,
            call=lambda log, length: log.histories(length),
        ),
        Target(
            name="LoggedDataset.concat",
            call=LoggedDataset.concat,
            given=lambda rng: {"logs": [any_log(rng), any_log(rng)]},
        ),
        Target(name="read_log", given=framed, call=read),
        Target(name="match_scores", given=matched, call=match, spared=LOG),
    ]


def _target(name: str, call: Any, given: Any) -> Target:
    return Target(name=name, given=given, call=call, spared=LOG | {"reference", "recent"})


def _evaluators() -> list[Target]:
    """What weighs a policy by a log."""
    return [
        _target("evaluate", lambda **given: str(ope.evaluate(**given)), _evaluated),
        _target("judge", _gate, _gated),
        _target("make_plan", ope.make_plan, _plan),
    ]


def _judged(rng: Generator, **more: Any) -> Arguments:
    log = any_log(rng)
    return {"log": log, "scores": scores(log, rng), "horizon": pick(HORIZONS, rng)} | more


def _evaluated(rng: Generator) -> Arguments:
    return _judged(rng, level=0.95, gamma=1.0, rule=_rule(rng), check=True, plan=True, seed=0)


def _gated(rng: Generator) -> Arguments:
    log = any_log(rng)
    guards = Made(GuardrailSpec, {"name": "g", "values": log.reward, "at_least": -1.0})
    return {
        "log": log,
        "candidate": scores(log, rng),
        "horizon": pick(HORIZONS[:3], rng),
        "rule": _rule(rng),
        "guardrail": guards,
        "level": 0.95,
        "seed": 0,
    }


def _gate(log: Any, candidate: Any, guardrail: Any, **more: Any) -> Any:
    return ope.judge(log, {"one": candidate}, guardrails=[guardrail], **more).candidates


def _plan(rng: Generator) -> Arguments:
    settings = {"margin": 0.1, "power": 0.8, "level": 0.95, "shares": (0.1, 0.5)}
    return _judged(rng, rule=_rule(rng), settings=Made(ope.PlanSettings, settings), gamma=1.0)


def _doctors() -> list[Target]:
    """What looks for trouble in a log."""
    return [
        _target("check_log", lambda **given: str(ope.check_log(**given)), _checked),
        _target(
            "check_users",
            check_users,
            lambda rng: {"log": (log := any_log(rng)), "time": np.arange(len(log)) * 1.0},
        ),
        _target("drift", drift, _moved),
    ]


def _checked(rng: Generator) -> Arguments:
    log = any_log(rng)
    return {
        "log": log,
        "scores": scores(log, rng),
        "time": np.arange(len(log)) * 60.0,
        "event_id": np.arange(len(log)),
        "reward_age": np.full(len(log), 3.0),
        "mature_after": 2.0,
        "expected_shares": {"one": 1.0},
    }


def _moved(rng: Generator) -> Arguments:
    log = any_log(rng)
    rule = {"level": 0.95, "margin": 0.02, "least_users": 2, "permutations": 9, "seed": 0}
    return {"reference": log, "recent": any_log(rng), "rule": Made(DriftRule, rule)}


def _selectors() -> list[Target]:
    """What redraws a log to choose an estimator."""
    return [
        _target("score_estimators", ope.score_estimators, _redrawn),
        _target(
            "score_session_estimators",
            ope.score_session_estimators,
            lambda rng: _redrawn(rng) | {"names": ["pdis", "snpdis"]},
        ),
    ]


def _redrawn(rng: Generator) -> Arguments:
    return {
        "log": any_log(rng),
        "names": ["ips", "snips"],
        "tilt": 1.0,
        "redraws": 2,
        "seed": 0,
    }


def _trials() -> list[Target]:
    """Of A/B tests."""
    return [
        _target("units_of", units_of, _trial),
        _target(
            "sample_ratio", sample_ratio, lambda rng: {"canary": 10, "control": 90, "share": 0.1}
        ),
    ]


def _trial(rng: Generator) -> Arguments:
    n = 20
    return {
        "user": np.arange(n) // 2,
        "canary": rng.random(n) < 0.5,
        "stratum": np.zeros(n, int),
        "values": rng.random((n, 1)),
        "names": ("reward",),
        "sessions": np.ones(n),
    }
