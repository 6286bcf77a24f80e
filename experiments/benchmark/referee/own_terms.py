"""Estimators whose weights are more than a log and scores tell: several loggers, embeddings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple
from zlib import crc32

import numpy as np

from experiments.benchmark.referee.measure import ENOUGH
from experiments.benchmark.referee.processes.bandits import ARMS, LOGGERS, Bandit, draw, world
from experiments.benchmark.referee.processes.process import F64, Draw
from offpolicy import (
    Interval,
    Terms,
    diagnose,
    logger_terms,
    mips_terms,
    offcem_terms,
    value_interval,
)

Lines = dict[str, tuple[Interval, float]]  # a value and the effective sample of its terms
PAIRS = np.arange(ARMS) // 2  # two arms of one pair share their embedding


class OwnTerms(NamedTuple):
    """A world, decisions of a log, and the estimates that are made of one."""

    world: Callable[[], Bandit]
    n: int
    lines: Callable[[Bandit, Draw], Lines]


def by_loggers(bandit: Bandit, drawn: Draw) -> Lines:
    """Each mode of `logger_terms`, by ips and by snips."""
    log, context = drawn.log, drawn.state
    assert log.logger is not None
    names, first = np.unique(log.logger, return_index=True)
    order = [LOGGERS.index(str(names[k])) for k in np.argsort(first)]
    table = bandit.loggers[order][:, context, log.slate[:, 0]].T
    lines: Lines = {}
    modes: tuple[Literal["naive", "balanced", "weighted"], ...] = ("naive", "balanced", "weighted")
    for mode in modes:
        t = logger_terms(log, drawn.scores, mode=mode, logger_propensity=table)
        lines |= {f"{name}, {mode}": _line(t, name) for name in ("ips", "snips")}
    return lines


def by_pairs(bandit: Bandit, drawn: Draw) -> Lines:
    """mips and snmips over the pairs of arms, offcem with a model that is off by a number a pair
    and context."""
    log, context, action = drawn.log, drawn.state, drawn.log.slate[:, 0].astype(np.int64)
    assert context is not None

    def probabilities(rows: slice) -> tuple[F64, F64]:
        return bandit.loggers[0][context[rows]], bandit.target[context[rows]]

    def values(rows: slice) -> F64:
        off = 0.1 * bandit.x[context[rows], :1] + 0.05 * PAIRS
        return np.asarray(bandit.mean[context[rows]] + off)

    embedded = mips_terms(
        probabilities,
        embedding=PAIRS[action][:, None],
        embedding_given_action=[np.eye(ARMS // 2)[PAIRS]],
        reward=log.reward,
    )
    clustered = offcem_terms(
        probabilities, action=action, cluster=PAIRS, reward=log.reward, values=values
    )
    each = {"mips": embedded, "snmips": embedded, "offcem": clustered}
    return {name: _line(t, name) for name, t in each.items()}


def _line(t: Terms, name: str) -> tuple[Interval, float]:
    return value_interval(t, name), diagnose(t).ess


def paired_arms() -> Bandit:
    """A world in which an arm matters by its pair alone."""
    bandit = world(31, "rate", 0.1, 0.3)
    pairs = bandit.mean.reshape(len(bandit.mean), -1, 2).mean(2)
    return replace(bandit, mean=pairs[:, PAIRS])


OWN_TERMS = {
    "three loggers, rate 10 %": OwnTerms(
        lambda: world(32, "rate", 0.1, 0.2, loggers=3), 4000, by_loggers
    ),
    "three loggers, rate 0.5 %": OwnTerms(
        lambda: world(33, "rate", 0.005, 0.5, loggers=3), 5000, by_loggers
    ),
    "pairs of arms": OwnTerms(paired_arms, 3000, by_pairs),
}


def measure_own(name: str, replicates: int, seed: int) -> dict[str, Any]:
    """Coverage, width against the oracle's, bias and error of the values."""
    began, own = time.process_time(), OWN_TERMS[name]
    bandit = own.world()
    truth = bandit.value(bandit.target)
    seen: dict[str, list[tuple[float, ...]]] = {}
    for k in range(replicates):
        rng = np.random.default_rng([seed, crc32(name.encode()), k])
        for line, (i, ess) in own.lines(bandit, draw(bandit, "rate", True, rng, own.n)).items():
            seen.setdefault(line, []).append((i.value, i.low, i.high, ess))
    lines = {}
    for line, rows in seen.items():
        value, low, high, ess = np.array(rows).T
        held = ((low <= truth) & (truth <= high))[ess >= ENOUGH]
        lines[line] = {
            "held": (int(held.sum()), len(held)),
            "ess": float(np.median(ess)),
            "width": float((high - low).mean() / (3.92 * value.std(ddof=1))),
            "bias": float(value.mean() - truth),
            "rmse": float(np.sqrt(((value - truth) ** 2).mean())),
        }
    cpu = time.process_time() - began
    return {"name": name, "value": truth, "lines": lines, "cpu_seconds": cpu}
