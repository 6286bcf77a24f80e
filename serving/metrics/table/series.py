"""Names, bins and shapes that several signals share."""

from __future__ import annotations

from functools import partial

import numpy as np

from serving.metrics.kinds import Alert, Signal, Sli
from serving.metrics.statistics import quantile_of

SECONDS = np.array(
    [1, 2, 3, 4, 5, 7.5, 10, 12.5, 15, 17.5, 20, 22.5, 25, 27.5, 30, 35, 40, 45, 50, 60, 75, 100,
     150, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000]
) / 1e3  # fmt: skip
AGES = np.array([1, 10, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400], float)

WATCH = "release watch"  # the command that gives most readings
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
REASONS = ("deadline", "event_log", "other", "policy", "rule", "sessions")
SURE = 0.999  # level of a check that is looked at all the time
SKEW = 100  # weights below which a normal interval says nothing


def latency(
    name: str,
    title: str,
    signal: str,
    q: float,
    help: str,
    target: float | None = None,
    alert: Alert | None = None,
) -> Sli:
    """A quantile of durations, in ms."""
    of = partial(quantile_of, signal, SECONDS, q, 1e3)
    return Sli(name, title, "ms", help, of, target=target, alert=alert)


def state(
    name: str,
    help: str,
    *,
    measure: str = "",
    unit: str = "",
    label: str = "",
    slis: tuple[Sli, ...] = (),
) -> Signal:
    """What the server is at the moment."""
    return Signal(name, measure, "state", unit, help, label, slis=slis)


def counter(
    name: str,
    measure: str,
    help: str,
    label: str = "",
    known: tuple[str, ...] = (),
    *slis: Sli,
    by_arm: bool = False,
) -> Signal:
    """A count."""
    return Signal(name, measure, "counter", "", help, label, known, slis=slis, by_arm=by_arm)


def summary(name: str, unit: str, help: str, *slis: Sli) -> Signal:
    """Moments, and the indicators that are read off them."""
    return Signal(name, "M10", "summary", unit, help, slis=slis, by_arm=True)


def duration(name: str, help: str, sli: Sli) -> Signal:
    """A histogram of durations, and one indicator."""
    return Signal(name, "M2", "histogram", "seconds", help, edges=SECONDS, slis=(sli,), by_arm=True)


def process(name: str, unit: str, measure: str, help: str, *slis: Sli) -> Signal:
    """What prometheus-client, or Prometheus itself, says of the process."""
    return Signal(name, measure, "process", unit, help, slis=slis)


def reading(
    name: str, measure: str, help: str, label: str = "", *slis: Sli, fed_by: tuple[str, ...]
) -> Signal:
    """What a process that reads the log has read there. fed_by: the commands that write it."""
    return Signal(name, measure, "reading", "", help, label, slis=slis, fed_by=fed_by)
