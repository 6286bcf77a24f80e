"""The one table of signals: from it come the Prometheus series and the service level indicators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from serving.metrics import estimates
from serving.metrics.estimates import Estimate
from serving.metrics.sums import F64, Sums

Kind = Literal["counter", "histogram", "summary", "gauge", "state"]
Statistic = Callable[[Sums, float], Estimate | None]  # of sums over so many seconds; None = no data
Op = Literal["<=", ">=", "="]

SECONDS = np.array(
    [1, 2, 3, 4, 5, 7.5, 10, 12.5, 15, 17.5, 20, 22.5, 25, 27.5, 30, 35, 40, 45, 50, 60, 75, 100,
     150, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000]
) / 1e3  # fmt: skip
AGES = np.array([1, 10, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400], float)


@dataclass(frozen=True, slots=True)
class Sli:
    """One number that is watched."""

    name: str
    unit: str
    help: str
    of: Statistic
    op: Op = "<="
    target: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One thing that is summed: a series, and the indicators that are read off it."""

    name: str  # of the series, without the unit's suffix
    measure: str  # M1, M2 ... of the list of service level indicators; "" = none
    kind: Kind
    unit: str  # suffix of the series; "" = none
    help: str
    label: str = ""  # its one label; values are of a small fixed set
    fixed: tuple[tuple[str, str], ...] = ()  # labels that never change
    edges: F64 | None = None  # (E,) of a histogram
    slis: tuple[Sli, ...] = ()


# Statistics of sums over a window


def quantile_ms(signal: str, q: float, sums: Sums, seconds: float) -> Estimate | None:
    found = _quantile(signal, SECONDS, q, sums)
    return None if found is None else Estimate(1e3 * found.value, found.n, *_ms(found))


def quantile_age(q: float, sums: Sums, seconds: float) -> Estimate | None:
    return _quantile("longplay_history_age", AGES, q, sums)


def share_of(
    signal: str, labels: tuple[str, ...], among: tuple[str, ...], sums: Sums, seconds: float
) -> Estimate | None:
    return estimates.share(sums.count(signal, *labels), sums.count(signal, *among))


def mean_of(signal: str, level: float, sums: Sums, seconds: float) -> Estimate | None:
    return estimates.mean(sums.moments.get(signal, np.zeros(3)), level)


def per_second(signal: str, sums: Sums, seconds: float) -> Estimate | None:
    n = sums.count(signal)
    return estimates.exact(n / seconds, n) if seconds > 0 else None


def count_of(signal: str, sums: Sums, seconds: float) -> Estimate | None:
    return estimates.exact(sums.count(signal), sums.count("longplay_decisions"))


def distinct(sums: Sums, seconds: float) -> Estimate | None:
    n = sums.count("longplay_decisions")
    return estimates.exact(int((sums.shown > 0).sum()), n) if n else None


def effective(sums: Sums, seconds: float) -> Estimate | None:
    return estimates.effective(sums.shown, sums.count("longplay_decisions"))


def _quantile(signal: str, edges: F64, q: float, sums: Sums) -> Estimate | None:
    counts = sums.histograms.get(signal)
    return None if counts is None else estimates.quantile(counts[:-1], edges, q)


def _ms(found: Estimate) -> tuple[float, float]:
    return 1e3 * found.low, 1e3 * found.high


def _latency(name: str, signal: str, q: float, help: str, target: float | None = None) -> Sli:
    return Sli(name, "ms", help, partial(quantile_ms, signal, q), target=target)


DURATION = "http_server_request_duration"  # OpenTelemetry's http.server.request.duration
WAIT, WORK = "longplay_decision_wait_duration", "longplay_decision_work_duration"
OVER_HTTP = (
    ("http_request_method", "POST"),
    ("http_response_status_code", "200"),
    ("http_route", "/decide"),
)
ANSWERED = ("policy", "fallback")
SURE = 0.999  # level of a check that is looked at all the time

SIGNALS: tuple[Signal, ...] = (
    Signal(
        "longplay_requests", "M1 M3", "counter", "",
        "Requests for a slate: answered by the policy or by the fallback, refused for a fault of "
        "the caller's, or failed.", "result",
        slis=(
            Sli("requests", "/s", "requests for a slate", partial(per_second, "longplay_requests")),
            Sli("success", "share", "requests answered, of those that were not the caller's fault",
                partial(share_of, "longplay_requests", ANSWERED, (*ANSWERED, "failed")),
                ">=", 0.999),
            Sli("fallback", "share", "answers that are the fallback's and not the policy's",
                partial(share_of, "longplay_requests", ("fallback",), ANSWERED), target=0.01),
        ),
    ),
    Signal(
        DURATION, "M2", "histogram", "seconds",
        "From the receipt of a request until its decision was logged.",
        fixed=OVER_HTTP, edges=SECONDS,
        slis=(
            _latency("latency_p50", DURATION, 0.5, "time from receipt to the logged decision"),
            _latency("latency_p95", DURATION, 0.95, "the same, of the slowest 5 %", 30.0),
            _latency("latency_p99", DURATION, 0.99, "the same, of the slowest 1 %", 50.0),
        ),
    ),
    Signal(
        WAIT, "M2", "histogram", "seconds", "Time that a request waited in the queue.",
        edges=SECONDS,
        slis=(_latency("wait_p95", WAIT, 0.95, "time in the queue, of the slowest 5 %"),),
    ),
    Signal(
        WORK, "M2", "histogram", "seconds", "Time of the whole batch, until the event was logged.",
        edges=SECONDS,
        slis=(_latency("work_p95", WORK, 0.95, "time of the batch, of the slowest 5 %"),),
    ),
    Signal(
        "longplay_fallbacks", "M3", "counter", "", "Answers of the fallback, by why.", "reason",
    ),
    Signal(
        "longplay_refusals", "M3", "counter", "", "Requests without an answer, by why.",
        "error_type",
    ),
    Signal(
        "longplay_history_age", "M7", "histogram", "seconds",
        "Time since the history that a decision saw last changed; new users have none.",
        edges=AGES,
        slis=(
            Sli("history_age_p50", "s", "time since the history that was read last changed",
                partial(quantile_age, 0.5)),
            Sli("history_age_p95", "s", "the same, of the oldest 5 %", partial(quantile_age, 0.95)),
        ),
    ),
    Signal(
        "longplay_decisions", "M9", "counter", "", "Decisions answered, by whether the event log "
        "holds them.", "logged",
        slis=(
            Sli("logged", "share", "answers that the event log holds",
                partial(share_of, "longplay_decisions", ("true",), ("true", "false")),
                ">=", 0.999),
        ),
    ),
    Signal(
        "longplay_awaited", "M9", "counter", "", "Logged decisions whose time for outcomes is "
        "over, by whether any came; a sample where there are many.", "outcome",
        slis=(
            Sli("outcomes_known", "share", "decisions of which an outcome came in time",
                partial(share_of, "longplay_awaited", ("known",), ("known", "none"))),
        ),
    ),
    Signal("longplay_outcomes", "M9", "counter", "", "Outcomes logged, by kind.", "kind"),
    Signal(
        "longplay_items_shown_distinct", "M11", "gauge", "",
        "Items that were shown at least once in the window.",
        slis=(Sli("items_shown", "items", "items shown at least once", distinct),),
    ),
    Signal(
        "longplay_items_shown_effective", "M11", "gauge", "",
        "exp of the entropy of what was shown in the window.",
        slis=(Sli("items_effective", "items", "as diverse as so many items, each shown equally "
                  "often", effective),),
    ),
    Signal(
        "longplay_violations", "M12", "counter", "",
        "Slates shown that the rules, counted afresh from the logged decision, forbid.", "check",
        slis=(
            Sli("violations", "slates", "slates shown in breach of a rule",
                partial(count_of, "longplay_violations"), target=0.0),
        ),
    ),
    Signal(
        "longplay_unaudited", "M12", "counter", "",
        "Slates under rules that are not known here, of which only the items were audited.",
    ),
    Signal(
        "longplay_propensity", "", "summary", "",
        "Probability of the whole slate, of the policy's decisions.",
        slis=(Sli("propensity", "", "mean probability of the slate that was drawn",
                  partial(mean_of, "longplay_propensity", estimates.LEVEL)),),
    ),
    Signal(
        "longplay_first_place_entropy", "", "summary", "nats",
        "Entropy of the first place, of the policy's decisions that log its probabilities.",
        slis=(Sli("entropy", "nats", "mean entropy of the first place",
                  partial(mean_of, "longplay_first_place_entropy", estimates.LEVEL)),),
    ),
    Signal(
        "longplay_first_place_weight", "", "summary", "",
        "Weight of a policy that draws the first place by the square root of its probabilities; "
        "its mean is 1 where the logged propensities are those that were played.",
        slis=(Sli("mean_weight", "", "1 where the logged propensities are those that were played",
                  partial(mean_of, "longplay_first_place_weight", SURE), "=", 1.0),),
    ),
    Signal(
        "longplay_unknown_items", "", "counter", "",
        "Items of given histories that the catalogue does not have; they are skipped.",
    ),
    Signal("longplay_queue_length", "", "state", "", "Requests that wait."),
    Signal("longplay_events_next_number", "M9", "state", "", "Number of the writer's next event.",
           "writer"),
    Signal("longplay_swaps", "", "state", "", "Times that the policy was exchanged."),
    Signal("longplay_load_failures", "", "state", "", "Versions that could not be loaded."),
    Signal("longplay_start_time", "", "state", "seconds", "When the policy began to serve, in "
           "seconds since 1970."),
)  # fmt: skip
