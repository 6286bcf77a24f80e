"""The one table of signals: from it come the Prometheus series and the service level indicators."""

from __future__ import annotations

from functools import partial

import numpy as np

from serving.metrics.estimates import LEVEL
from serving.metrics.kinds import (
    Signal,
    Sli,
    count_of,
    distinct,
    effective,
    mean_of,
    per_second,
    quantile_of,
    share_of,
)

SECONDS = np.array(
    [1, 2, 3, 4, 5, 7.5, 10, 12.5, 15, 17.5, 20, 22.5, 25, 27.5, 30, 35, 40, 45, 50, 60, 75, 100,
     150, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000]
) / 1e3  # fmt: skip
AGES = np.array([1, 10, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400], float)

DURATION = "http_server_request_duration"  # OpenTelemetry's http.server.request.duration
AGE = "longplay_history_age"
WAIT, WORK = "longplay_decision_wait_duration", "longplay_decision_work_duration"
OVER_HTTP = (
    ("http_request_method", "POST"),
    ("http_response_status_code", "200"),
    ("http_route", "/decide"),
    ("url_scheme", "http"),
)
ANSWERED = ("policy", "fallback")
SURE = 0.999  # level of a check that is looked at all the time


def _latency(
    name: str, title: str, signal: str, q: float, help: str, target: float | None = None
) -> Sli:
    return Sli(
        name, title, "ms", help, partial(quantile_of, signal, SECONDS, q, 1e3), target=target
    )


def _state(name: str, help: str, *, unit: str = "", label: str = "") -> Signal:
    return Signal(name, "", "state", unit, help, label)


def _counter(name: str, measure: str, help: str, label: str = "") -> Signal:
    return Signal(name, measure, "counter", "", help, label)


def _summary(name: str, unit: str, help: str, sli: Sli) -> Signal:
    return Signal(name, "", "summary", unit, help, slis=(sli,))


def _duration(name: str, help: str, sli: Sli) -> Signal:
    return Signal(name, "M2", "histogram", "seconds", help, edges=SECONDS, slis=(sli,))


SIGNALS: tuple[Signal, ...] = (
    Signal(
        "longplay_requests",
        "M1 M3",
        "counter",
        "",
        "Requests for a slate: answered by the policy or by the fallback, refused for a fault of "
        "the caller's, or failed.",
        "result",
        slis=(
            Sli(
                "requests",
                "Requests",
                "/s",
                "requests for a slate",
                partial(per_second, "longplay_requests"),
            ),
            Sli(
                "success",
                "Success",
                "share",
                "requests answered, of those that were not the caller's fault",
                partial(share_of, "longplay_requests", ANSWERED, (*ANSWERED, "failed")),
                ">=",
                0.999,
            ),
            Sli(
                "fallback",
                "Fallback",
                "share",
                "answers that are the fallback's and not the policy's",
                partial(share_of, "longplay_requests", ("fallback",), ANSWERED),
                target=0.01,
            ),
        ),
    ),
    Signal(
        DURATION,
        "M2",
        "histogram",
        "seconds",
        "From the receipt of a request until its decision was logged.",
        fixed=OVER_HTTP,
        edges=SECONDS,
        slis=(
            _latency(
                "latency_p50",
                "Latency, median",
                DURATION,
                0.5,
                "time from receipt to the logged decision",
            ),
            _latency(
                "latency_p95", "Latency, P95", DURATION, 0.95, "the same, of the slowest 5 %", 30.0
            ),
            _latency(
                "latency_p99", "Latency, P99", DURATION, 0.99, "the same, of the slowest 1 %", 50.0
            ),
        ),
    ),
    _duration(
        WAIT,
        "Time that a request waited in the queue.",
        _latency("wait_p95", "Queue wait, P95", WAIT, 0.95, "in the queue, the slowest 5 %"),
    ),
    _duration(
        WORK,
        "Time of the whole batch, until the event was logged.",
        _latency("work_p95", "Work, P95", WORK, 0.95, "time of the batch, the slowest 5 %"),
    ),
    _counter("longplay_fallbacks", "M3", "Answers of the fallback, by why.", "reason"),
    _counter("longplay_refusals", "M3", "Requests without an answer, by why.", "error_type"),
    Signal(
        AGE,
        "M7",
        "histogram",
        "seconds",
        "Time since the history that a decision saw last changed; new users have none.",
        edges=AGES,
        slis=(
            Sli(
                "history_age_p50",
                "Age of history, median",
                "s",
                "time since the history that was read last changed",
                partial(quantile_of, AGE, AGES, 0.5, 1.0),
            ),
            Sli(
                "history_age_p95",
                "Age of history, P95",
                "s",
                "the same, of the oldest 5 %",
                partial(quantile_of, AGE, AGES, 0.95, 1.0),
            ),
        ),
    ),
    Signal(
        "longplay_decisions",
        "M9",
        "counter",
        "",
        "Decisions answered, by whether the event log holds them.",
        "logged",
        slis=(
            Sli(
                "logged",
                "Logged",
                "share",
                "answers that the event log holds",
                partial(share_of, "longplay_decisions", ("true",), ("true", "false")),
                ">=",
                0.999,
            ),
        ),
    ),
    Signal(
        "longplay_awaited",
        "M9",
        "counter",
        "",
        "Logged decisions whose time for outcomes is "
        "over, by whether any came; a sample where there are many.",
        "outcome",
        slis=(
            Sli(
                "outcomes_known",
                "Outcomes known",
                "share",
                "decisions of which an outcome came in time",
                partial(share_of, "longplay_awaited", ("known",), ("known", "none")),
            ),
        ),
    ),
    Signal("longplay_outcomes", "M9", "counter", "", "Outcomes logged, by kind.", "kind"),
    Signal(
        "longplay_items_shown_distinct",
        "M11",
        "gauge",
        "",
        "Items that were shown at least once in the window.",
        slis=(Sli("items_shown", "Items shown", "items", "items shown at least once", distinct),),
    ),
    Signal(
        "longplay_items_shown_effective",
        "M11",
        "gauge",
        "",
        "exp of the entropy of what was shown in the window.",
        slis=(
            Sli(
                "items_effective",
                "Effective items",
                "items",
                "as diverse as so many items, each shown equally often",
                effective,
            ),
        ),
    ),
    Signal(
        "longplay_violations",
        "M12",
        "counter",
        "",
        "Slates shown that the rules, counted afresh from the logged decision, forbid.",
        "check",
        slis=(
            Sli(
                "violations",
                "Violations",
                "slates",
                "slates shown in breach of a rule",
                partial(count_of, "longplay_violations"),
                target=0.0,
            ),
        ),
    ),
    _counter(
        "longplay_unaudited",
        "M12",
        "Slates under rules that are not known here, of which only the items were audited.",
    ),
    _summary(
        "longplay_propensity",
        "",
        "Probability of the whole slate, of the policy's decisions.",
        Sli(
            "propensity",
            "Propensity, mean",
            "",
            "mean chance of the slate drawn",
            partial(mean_of, "longplay_propensity", LEVEL),
        ),
    ),
    _summary(
        "longplay_first_place_entropy",
        "nats",
        "Entropy of the first place, of the policy's decisions that log its probabilities.",
        Sli(
            "entropy",
            "Entropy, first place",
            "nats",
            "mean entropy of the first place",
            partial(mean_of, "longplay_first_place_entropy", LEVEL),
        ),
    ),
    _summary(
        "longplay_first_place_weight",
        "",
        "Weight of a policy that draws the first place by the square root of its probabilities; "
        "its mean is 1 where the logged propensities are those that were played.",
        Sli(
            "mean_weight",
            "Mean weight",
            "",
            "1 where the logged propensities are those that were played",
            partial(mean_of, "longplay_first_place_weight", SURE),
            "=",
            1.0,
        ),
    ),
    _counter(
        "longplay_unknown_items",
        "",
        "Items of given histories that the catalogue does not have; they are skipped.",
    ),
    _state("longplay_queue_length", "Requests that wait."),
    _state("longplay_events_next_number", "Number of the writer's next event.", label="writer"),
    _state("longplay_swaps", "Times that the policy was exchanged."),
    _state("longplay_load_failures", "Versions that could not be loaded."),
    _state("longplay_start_time", "When the policy began to serve, since 1970.", unit="seconds"),
)
