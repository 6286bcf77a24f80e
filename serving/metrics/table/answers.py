"""M1 to M3: traffic, latency, errors and fallbacks."""

from __future__ import annotations

from functools import partial

from serving.metrics.estimates import exact
from serving.metrics.kinds import Alert, Signal, Sli
from serving.metrics.statistics import per_second, share_of, within
from serving.metrics.table.series import (
    ANSWERED,
    DURATION,
    OVER_HTTP,
    REASONS,
    SECONDS,
    WAIT,
    WORK,
    counter,
    duration,
    latency,
    process,
    state,
)

ANSWERS = (
    counter(
        "longplay_requests",
        "M3",
        "Requests for a slate: answered by the policy or by the fallback, refused for a fault of "
        "the caller's, or failed.",
        "result",
        (*ANSWERED, "refused", "failed"),
        Sli(
            "requests",
            "Requests",
            "/s",
            "requests for a slate",
            partial(per_second, "longplay_requests"),
            alert=Alert(
                "ticket",
                "fell",
                "traffic",
                "Ask the caller whether it sends less, and whether users see an error there.",
                window="30m",
                lasts="30m",
                factor=0.5,
                fields=(),
            ),
            measure="M1",
        ),
        Sli(
            "silence",
            "No requests",
            "",
            "no request for five minutes",
            alert=Alert(
                "page",
                "expr",
                "traffic",
                "See whether the server answers /ready and whether the caller reaches it.",
                fields=(),
                promql="sum by (pipeline) (rate(longplay_requests_total[5m])) == 0",
            ),
            measure="M1",
        ),
        Sli(
            "absence",
            "No server",
            "",
            "Prometheus finds no server at all",
            alert=Alert(
                "page",
                "expr",
                "traffic",
                "Start the server again: it restores itself from its registry and its event log.",
                fields=(),
                promql="absent(longplay_requests_total)",
            ),
            measure="M1",
        ),
        Sli(
            "success",
            "Success",
            "share",
            "requests answered, of those that were not the caller's fault",
            partial(share_of, "longplay_requests", ANSWERED, (*ANSWERED, "failed")),
            ">=",
            0.999,
            Alert(
                "page",
                "burn",
                "errors-and-fallbacks",
                "See why requests fail; roll back if the version that serves is the cause.",
                fields=(),
            ),
        ),
        Sli(
            "fallback",
            "Fallback",
            "share",
            "answers that are the fallback's and not the policy's",
            partial(share_of, "longplay_requests", ("fallback",), ANSWERED),
            target=0.01,
            alert=Alert(
                "page",
                "burn",
                "errors-and-fallbacks",
                "See the reason of the fallbacks: deadline, sessions, event_log, policy or rule.",
            ),
        ),
        by_arm=True,
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
            Sli(
                "within_50ms",
                "Within 50 ms",
                "share",
                "answers whose decision was logged within 50 ms of the receipt",
                partial(within, DURATION, SECONDS, 0.05),
                ">=",
                0.99,
                Alert(
                    "page",
                    "burn",
                    "latency",
                    "See whether requests wait (load) or the work is slow (the version, the log).",
                ),
            ),
            latency(
                "latency_p50",
                "Latency, median",
                DURATION,
                0.5,
                "time from receipt to the logged decision",
            ),
            latency(
                "latency_p95",
                "Latency, P95",
                DURATION,
                0.95,
                "the same, of the slowest 5 %",
                30.0,
                Alert(
                    "ticket",
                    "bound",
                    "latency",
                    "Compare queue wait and work before the slowest 1 % miss their target, too.",
                    window="30m",
                    lasts="1h",
                ),
            ),
            latency(
                "latency_p99", "Latency, P99", DURATION, 0.99, "the same, of the slowest 1 %", 50.0
            ),
        ),
        by_arm=True,
    ),
    duration(
        WAIT,
        "Time that a request waited in the queue.",
        latency("wait_p95", "Queue wait, P95", WAIT, 0.95, "in the queue, the slowest 5 %"),
    ),
    duration(
        WORK,
        "Time of the whole batch, until the event was logged.",
        latency("work_p95", "Work, P95", WORK, 0.95, "time of the batch, the slowest 5 %"),
    ),
    counter(
        "longplay_fallbacks",
        "M3",
        "Answers of the fallback, by why.",
        "reason",
        REASONS,
        by_arm=True,
    ),
    counter(
        "longplay_refusals", "M3", "Requests without an answer, by why.", "error_type", ("queue",)
    ),
    state("longplay_queue_length", "Requests that wait.", measure="M1"),
    state("longplay_swaps", "Times that the policy was exchanged."),
    state(
        "longplay_load_failures",
        "Versions that could not be loaded.",
        measure="M3",
    ),
    state(
        "longplay_pointer_unfollowed",
        "1 where the version that the registry wants is not the one that serves.",
        measure="M3",
        slis=(
            Sli(
                "unfollowed",
                "Registry not followed",
                "",
                "1 where the registry's live version is not the one that serves",
                target=0.0,
                alert=Alert(
                    "page",
                    "bound",
                    "model-rollback",
                    "Read in the server's log why the version cannot be loaded; until then a "
                    "rollback by the pointer has no effect.",
                ),
                of_state=lambda state: exact(float(state.unfollowed), 1),
            ),
        ),
    ),
    state("longplay_start_time", "When the policy began to serve, since 1970.", unit="seconds"),
    process(
        "process_start_time",
        "seconds",
        "M15",
        "When the process began, since 1970.",
        Sli(
            "restarts",
            "Restarts",
            "",
            "the process began anew more than once within 30 minutes",
            alert=Alert(
                "page",
                "expr",
                "cost",
                "Look for kills for want of memory, and for an error in the server's log.",
                window="30m",
                lasts="0m",
                fields=(),
                promql="max by (pipeline) (changes(process_start_time_seconds"
                '{job="longplay"}[30m])) > 1',
            ),
        ),
    ),
)
