"""How often each check of the log doctor sees each fault, over logs with known damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import LogError, LoggedDataset, TargetScores, check_log
from offpolicy.doctor.log_check import LogCheck
from policies.validation import COUNT

F64 = NDArray[np.float64]
K, DIM, SHARP = 20, 5, 0.6
CHECKS = {
    "T1": "mean weight, target (T1)",
    "T2": "mean weight, uniform target (T2)",
    "T3": "calibration per item (T3)",
    "T4": "reliability per probability (T4)",
    "T5": "entropy (T5)",
    "S": "structure",
}


@dataclass(frozen=True, slots=True)
class BanditLog:
    """One-decision rows of 20 actions: logging .9 softmax(-x theta) + .1 / K, target with +."""

    x: F64  # (N, 5)
    theta: F64  # (5, K)
    table: F64  # (N, K) what is logged as the distribution
    action: NDArray[np.int64]
    propensity: F64
    click: F64
    event: NDArray[np.int64]
    age: F64  # of the reward, in days

    def rows(self, keep: NDArray[Any]) -> BanditLog:
        """Some rows, or some rows again."""
        names = ("x", "table", "action", "propensity", "click", "event", "age")
        return replace(self, **{n: getattr(self, n)[keep] for n in names})


class Fault(NamedTuple):
    """Damage, and which checks must see it how often."""

    damage: Callable[[BanditLog, np.random.Generator], BanditLog]
    expected: dict[str, float]
    whole_distribution: bool = True  # the logged table was damaged with the propensity


def softmax_mix(logits: F64) -> F64:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(0.9 * e / e.sum(1, keepdims=True) + 0.1 / K)


def draw(table: F64, rng: np.random.Generator) -> NDArray[np.int64]:
    """One action a row."""
    return np.asarray((rng.random((len(table), 1)) > table.cumsum(1)).sum(1).clip(max=K - 1))


def clean(seed: int, n: int = 20_000) -> BanditLog:
    """A log without damage, with a theta of its own: a rate over logs depends on no one theta."""
    rng = np.random.default_rng([seed, 7])
    theta = SHARP * np.random.default_rng([seed, 3]).standard_normal((DIM, K))
    x = rng.standard_normal((n, DIM))
    table = softmax_mix(-x @ theta)
    action = draw(table, rng)
    click = clicks(x, theta, action, rng)
    every = np.arange(n)
    return BanditLog(
        x, theta, table, action, table[every, action], click, every, rng.random(n) * 14
    )


def clicks(x: F64, theta: F64, action: NDArray[np.int64], rng: np.random.Generator) -> F64:
    chance = 1 / (1 + np.exp(1.5 - (x @ theta)[np.arange(len(x)), action]))
    return np.asarray(rng.random(len(x)) < chance, np.float64)


def examine(w: BanditLog) -> LogCheck | None:
    """The doctor's check; None where the log fails validation on construction."""
    target = softmax_mix(w.x @ w.theta)
    every = np.broadcast_to(np.arange(K, dtype=np.int32)[:, None], (len(w.x), K, 1))
    scores = TargetScores(target[np.arange(len(w.x)), w.action], slates=every, slate_weight=target)
    try:
        log = LoggedDataset.from_columns(
            session=np.arange(len(w.x)), step=np.zeros(len(w.x)), slate=w.action,
            propensity=w.propensity, reward=w.click, n_items=K, context=w.x,
            candidate_propensity=w.table,
        )  # fmt: skip
    except LogError:
        return None
    return check_log(log, scores, event_id=w.event, reward_age=w.age, mature_after=1e-9)


def _rounded(w: BanditLog, _: np.random.Generator) -> BanditLog:
    return replace(w, propensity=np.maximum(w.propensity.round(2), 0.01))


def _ones(w: BanditLog, _: np.random.Generator) -> BanditLog:
    return replace(w, propensity=np.ones(len(w.x)), table=np.eye(K)[w.action])


def _unmixed(w: BanditLog, _: np.random.Generator) -> BanditLog:
    table = (w.table - 0.1 / K) / 0.9
    return _with_table(w, table)


def _older(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    other = softmax_mix(-w.x @ (w.theta + 0.6 * rng.standard_normal(w.theta.shape)))
    old = rng.random(len(w.x)) < 0.1
    return _with_table(w, np.where(old[:, None], other, w.table))


def _tempered(w: BanditLog, _: np.random.Generator) -> BanditLog:
    logits = np.log((w.table - 0.1 / K) / 0.9)
    return _with_table(w, softmax_mix(1.1 * logits))


def _ruled(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    action = np.where(w.action < 3, rng.integers(3, K, len(w.x)), w.action)
    return replace(
        _with_table(replace(w, action=action), w.table), click=clicks(w.x, w.theta, action, rng)
    )


def _silent(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    return w.rows(np.flatnonzero((w.click > 0) | (rng.random(len(w.x)) > 0.3)))


def _lost_items(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    return w.rows(np.flatnonzero((w.action >= 5) | (rng.random(len(w.x)) > 0.5)))


def _twice(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    again = np.flatnonzero(rng.random(len(w.x)) < 0.05)
    return w.rows(np.concatenate([np.arange(len(w.x)), again]))


def _retried(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    clicked = np.flatnonzero(w.click > 0)
    again = rng.choice(clicked, int(0.05 * len(w.x)))
    both = w.rows(np.concatenate([np.arange(len(w.x)), again]))
    fresh = both.x + 1e-9 * np.arange(len(both.x))[:, None]
    return replace(both, event=np.arange(len(both.x)), x=fresh)


def _unripe(w: BanditLog, rng: np.random.Generator) -> BanditLog:
    late = (w.click > 0) & (rng.random(len(w.x)) < 0.2)
    return replace(w, click=np.where(late, 0.0, w.click), age=np.where(late, 0.0, w.age))


def _with_table(w: BanditLog, table: F64) -> BanditLog:
    return replace(w, table=table, propensity=table[np.arange(len(w.x)), w.action])


FAULTS: dict[str, Fault] = {
    "none": Fault(lambda w, _: w, {}),
    "p rounded to 2 decimals": Fault(_rounded, {"T1": 0.90, "S": 1.0}),
    "p logged as 1.0": Fault(_ones, {"T1": 1.0, "T2": 1.0}),
    "exploration forgotten": Fault(_unmixed, {"T1": 0.40, "T2": 0.83, "T4": 1.0, "T5": 1.0}),
    "10 % of rows carry an older model's p": Fault(_older, {"T4": 1.0, "T5": 0.5}),
    "temperature off by 10 %": Fault(_tempered, {"T5": 1.0}),
    "rules replaced items after the draw": Fault(
        _ruled, {"T1": 1.0, "T2": 1.0, "T3": 1.0, "T4": 1.0, "T5": 1.0}
    ),
    "30 % of no-click rows lost": Fault(_silent, {"T1": 0.60, "T2": 1.0, "T4": 0.4}),
    "half the rows of 5 actions lost": Fault(_lost_items, {"T3": 1.0}),
    "5 % duplicates, same id": Fault(_twice, {"S": 1.0}),
    "5 % click retries under new ids": Fault(_retried, {"T1": 0.80, "T2": 1.0, "T4": 0.77}),
    "20 % of clicks not yet arrived": Fault(_unripe, {"maturity": 1.0}),
}


def flag_rates(name: str, logs: int, first_seed: int = 0) -> dict[str, float]:
    """Share of logs in which each check is above PASS; "FAIL" is the share of FAIL verdicts."""
    names = CHECKS | {"maturity": "maturity", "duplicates": "duplicates"}
    counts = dict.fromkeys([*names, "invalid", "FAIL"], 0)
    for seed in range(first_seed, first_seed + logs):
        check = examine(FAULTS[name].damage(clean(seed), np.random.default_rng([seed, 13])))
        if check is None:
            counts["invalid"] += 1
            continue
        for short, name_of_check in names.items():
            counts[short] += check[name_of_check].level > 0
        counts["FAIL"] += check.verdict == "FAIL"
    return {k: v / logs for k, v in counts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How many damaged logs to examine."""

    logs: int = 30
    clean_logs: int = 60

    def __post_init__(self) -> None:
        COUNT.check_all(self, "logs", "clean_logs")


def run(settings: Settings) -> int:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    head = ["T1", "T2", "T3", "T4", "T5", "S", "maturity", "duplicates", "invalid", "FAIL"]
    table = Table("fault", *head)
    for name in FAULTS:
        rates = flag_rates(name, settings.clean_logs if name == "none" else settings.logs)
        wanted = FAULTS[name].expected
        cells = [
            f"{rates[h]:.2f}" + (f" (>= {wanted[h]:.2f})" if h in wanted else "") for h in head
        ]
        table.add_row(name, *cells)
    Console(width=180).print(table)
    return 0
