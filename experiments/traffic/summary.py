"""Figures of a run, each with its 95 % interval."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.traffic.record import MALFORMED, NO_ANSWER, Calls, Record
from experiments.traffic.schedule import F64
from offpolicy.intervals.binomial import exact_bounds

LEVELS = (0.5, 0.95, 0.99)
RESAMPLES = 400


class Figure(NamedTuple):
    """A number between the bounds of its 95 % interval; NaN = cannot be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RouteSummary:
    """Calls of one route."""

    calls: int
    latency_ms: dict[float, Figure]  # level -> quantile of what was answered with status 200
    success: Figure  # share with status 200, of all that were due
    statuses: dict[str, int]  # what else came back


@dataclass(frozen=True, slots=True)
class Summary:
    """A run."""

    rps: float  # decisions that were due a second
    seconds: float
    decide: RouteSummary
    outcome: RouteSummary
    fallback: Figure  # share of the answers
    fallbacks: dict[str, int]  # by reason
    versions: dict[str, int]
    lateness_ms: dict[float, float]  # of the generator itself: level, and 1 = the largest
    generator_cpu_ms: float  # a request
    waited: int
    resent: int
    unsent: int


def summary(record: Record) -> Summary:
    """The figures of a run."""
    decides, outcomes = record.decides, record.outcomes
    good = decides.good
    late = np.concatenate([decides.lateness, outcomes.lateness])
    lateness = {q: float(1e3 * quantile(late, q)) for q in (*LEVELS, 1.0)} if len(late) else {}
    return Summary(
        rps=len(decides) / record.seconds,
        seconds=record.seconds,
        decide=route(decides),
        outcome=route(outcomes),
        fallback=share(len(record.fallback), int(good.sum())),
        fallbacks=dict(Counter(record.fallback.values()).most_common()),
        versions=record.versions,
        lateness_ms=lateness,
        generator_cpu_ms=1e3 * record.cpu / max(1, len(decides) + len(outcomes)),
        waited=record.waited,
        resent=record.resent,
        unsent=record.unsent,
    )


def route(calls: Calls, within: NDArray[np.bool_] | None = None) -> RouteSummary:
    """Of calls, or of those (N,) that are within."""
    due, good = np.array(calls.due), calls.good
    within = np.ones(len(due), np.bool_) if within is None else within
    good, latency = good[within], 1e3 * calls.latency[within]
    figures = quantiles(latency[good], due[within][good], LEVELS)
    statuses = Counter(np.array(calls.status, int)[within][~good].tolist())
    return RouteSummary(
        int(within.sum()),
        figures,
        share(int(good.sum()), int(within.sum())),
        {_status(status): n for status, n in statuses.most_common()},
    )


def _status(status: int) -> str:
    return {NO_ANSWER: "no answer", MALFORMED: "malformed"}.get(status, str(status))


def share(k: int, n: int) -> Figure:
    """k of n with exact binomial bounds."""
    if not n:
        return Figure(*[float("nan")] * 3)
    return Figure(k / n, *exact_bounds(k, n))


def quantile(values: F64, level: float) -> float:
    """The smallest value that at least this share of the values do not exceed."""
    rank = int(np.ceil(level * len(values) - 1e-9)) - 1
    return float(np.sort(values)[max(rank, 0)])


def quantiles(values: F64, due: F64, levels: tuple[float, ...]) -> dict[float, Figure]:
    """Quantiles of values (N,) that were due at `due` (N,) s.

    Bounds: percentile bootstrap over whole seconds, which keeps together what shared a queue:
    single latencies are far from independent. Künsch (1989), without overlaps.
    """
    if not len(values):
        return {level: Figure(*[float("nan")] * 3) for level in levels}
    order = np.argsort(values, kind="stable")
    values = values[order]
    _, block = np.unique(np.floor(due[order]), return_inverse=True)
    blocks = int(block.max()) + 1
    times = np.random.default_rng(0).multinomial(blocks, [1 / blocks] * blocks, size=RESAMPLES)
    drawn = np.empty((len(levels), RESAMPLES))
    for r, weights in enumerate(times):
        total = np.cumsum(weights[block])
        ranks = np.searchsorted(total, [level * total[-1] - 1e-9 for level in levels])
        drawn[:, r] = values[np.minimum(ranks, len(values) - 1)]
    return {
        level: Figure(quantile(values, level), quantile(drawn[i], 0.025), quantile(drawn[i], 0.975))
        for i, level in enumerate(levels)
    }
