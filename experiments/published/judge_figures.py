"""Is the judge itself right? Coverage of its intervals, power and false passes of its gate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from offpolicy import (
    LoggedDataset,
    Outcome,
    TargetScores,
    Terms,
    estimate,
    evaluate,
    interval,
)
from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.bounds import confidence_sequence, empirical_bernstein

F64 = NDArray[np.float64]


class Coverage(NamedTuple):
    """Of a nominal 95 % interval."""

    estimator: str
    coverage: float
    width: float


def five_arms(replicates: int = 2000, n: int = 500) -> list[Coverage]:
    """Uniform logging over five Bernoulli arms, target mostly the best."""
    pay = np.array([0.9, 0.85, 0.8, 0.75, 0.7])
    target = np.array([0.6, 0.2, 0.1, 0.05, 0.05])
    truth = float(target @ pay)
    hits: dict[str, list[tuple[bool, float]]] = {"snips": [], "ips": [], "ips, Bernstein": []}
    for seed in range(replicates):
        rng = np.random.default_rng([seed, 5])
        arm = rng.integers(0, 5, n)
        reward = (rng.random(n) < pay[arm]).astype(np.float64)
        t = Terms(target[arm] / 0.2, reward, None, None, np.arange(n))
        ips = estimate(t, "ips")
        intervals = {
            "snips": interval(estimate(t, "snips")),
            "ips": interval(ips),
            "ips, Bernstein": empirical_bernstein(ips, (0.0, 3.0)),
        }
        for name, i in intervals.items():
            hits[name].append((i.low <= truth <= i.high, i.high - i.low))
    return [Coverage(k, *(float(x) for x in np.mean(v, axis=0))) for k, v in hits.items()]


def dependent_rows(replicates: int = 2000, users: int = 80, rows: int = 10) -> list[Coverage]:
    """Rows of a user share an offset of their rewards; the users are the units."""
    pi_b, pi_e, pay = np.array([0.6, 0.4]), np.array([0.4, 0.6]), np.array([0.3, 0.5])
    truth = float(pi_e @ pay)
    hits: dict[str, list[tuple[bool, float]]] = {"ips": [], "snips": [], "dr": []}
    unit = np.repeat(np.arange(users), rows)
    for seed in range(replicates):
        rng = np.random.default_rng([seed, 6])
        offset = np.repeat(rng.normal(0, 0.5, users), rows)
        arm = (rng.random(users * rows) < pi_b[1]).astype(np.int64)
        reward = pay[arm] + offset + rng.normal(0, 0.3, users * rows)
        q = np.array([0.2, 0.6])
        t = Terms((pi_e / pi_b)[arm], reward, q[arm], np.full(len(arm), pi_e @ q), unit)
        for name, of_estimator in hits.items():
            i = interval(estimate(t, name))
            of_estimator.append((i.low <= truth <= i.high, i.high - i.low))
    return [Coverage(k, *(float(x) for x in np.mean(v, axis=0))) for k, v in hits.items()]


def peeking(replicates: int = 2000, n: int = 10_000, looks: int = 100) -> tuple[float, float]:
    """False alarms of an A/A comparison looked at 100 times: confidence sequence, plain t."""
    at = np.linspace(n / looks, n, looks).astype(np.int64)
    alarms = naive = 0
    for seed in range(replicates):
        x = np.random.default_rng([seed, 7]).normal(size=n)
        mean = np.cumsum(x)[at - 1] / at
        spread = np.sqrt((np.cumsum(x**2)[at - 1] / at - mean**2) * at / (at - 1))
        half_width = [sequence_radius(s, int(k)) for s, k in zip(spread, at, strict=True)]
        alarms += bool((np.abs(mean) > half_width).any())
        naive += bool((np.abs(mean) > 1.96 * spread / np.sqrt(at)).any())
    return alarms / replicates, naive / replicates


def sequence_radius(spread: float, n: int) -> float:
    """Radius of the confidence sequence at n units of standard deviation `spread`."""
    psi = np.zeros(n)
    psi[:2] = spread * np.sqrt((n - 1) / 2) * np.array([1.0, -1.0])
    return confidence_sequence(Estimate(0.0, psi, np.arange(n))).high


class Bandit(NamedTuple):
    """The gate's setting: 20 actions, a logging and a target policy of known value ratio."""

    theta: F64
    tilt: F64
    sharpness: float


def gate_world(ratio: float, seed: int = 0, contexts: int = 200_000) -> Bandit:
    """Sharpness such that the target's value is `ratio` times the logging policy's, both averaged
    over so many contexts."""
    rng = np.random.default_rng(seed)
    theta, tilt = 0.6 * rng.standard_normal((5, 20)), rng.standard_normal((5, 20))
    x = np.random.default_rng([seed, 1]).standard_normal((contexts, 5))
    score, tilted = x @ theta, x @ tilt
    pay = _click(score)
    wanted = ratio * float((_mixed(0.8 * score, 0.1) * pay).sum())

    def above(sharpness: float) -> float:
        target = _mixed(sharpness * score + 0.5 * tilted, 0.05)
        return float((target * pay).sum()) - wanted

    return Bandit(theta, tilt, float(brentq(above, -2.0, 6.0, xtol=1e-11)))


def gate_policies(w: Bandit, x: F64) -> tuple[F64, F64, F64]:
    """(n, 20) logging, target, expected click."""
    score = x @ w.theta
    return (
        _mixed(0.8 * score, 0.1),
        _mixed(w.sharpness * score + 0.5 * (x @ w.tilt), 0.05),
        _click(score),
    )


def _mixed(logits: F64, uniform: float) -> F64:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray((1 - uniform) * p / p.sum(1, keepdims=True) + uniform / 20)


def _click(score: F64) -> F64:
    return 1 / (1 + np.exp(1.5 - score))


def gate_power(
    ratio: float, logs: int = 300, n: int = 10_000, contexts: int = 200_000
) -> dict[str, float]:
    """Shares of pass, fail and cannot tell over whole evaluations; the mean effective share."""
    world = gate_world(ratio, contexts=contexts)
    counts = {o.value: 0.0 for o in Outcome} | {"effective share": 0.0}
    for seed in range(logs):
        rng = np.random.default_rng([seed, 8])
        x = rng.standard_normal((n, 5))
        p, e, pay = gate_policies(world, x)
        a = (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(max=19)
        every = np.arange(n)
        click = (rng.random(n) < pay[every, a]).astype(np.float64)
        log = LoggedDataset.from_columns(
            session=every, step=np.zeros(n), slate=a, propensity=p[every, a], reward=click,
            n_items=20, context=x,
        )  # fmt: skip
        all_items = np.broadcast_to(np.arange(20, dtype=np.int32)[:, None], (n, 20, 1))
        scores = TargetScores(e[every, a], slates=all_items, slate_weight=e)
        report = evaluate(
            log,
            scores,
            horizon="one_step",
            estimators=["dr"],
            item_features=np.eye(20),
            plan=False,
        )
        counts[report.verdict.outcome.value] += 1 / logs
        counts["effective share"] += report.diagnostics.ess_share / logs
    return counts
