"""The one table of signals: from it come the Prometheus series and their rules, the service level
indicators, the alarms, the dashboards, the board and the runbook."""

from __future__ import annotations

from serving.metrics.kinds import Signal
from serving.metrics.table.answers import ANSWERS
from serving.metrics.table.records import RECORDS
from serving.metrics.table.shown import SHOWN
from serving.metrics.table.trial import TRIAL
from serving.metrics.table.watched import WATCHED

MEASURES = {
    "M1": "traffic",
    "M2": "latency",
    "M3": "errors and fallbacks",
    "M4": "value",
    "M5": "uplift of the canary over control",
    "M6": "returns and session length",
    "M7": "freshness of histories",
    "M8": "drift of inputs",
    "M9": "completeness of the log and of outcomes",
    "M10": "propensities",
    "M11": "diversity",
    "M12": "violations of constraints",
    "M13": "sample ratio and multiple exposure",
    "M14": "poisoning",
    "M15": "cost",
}
SIGNALS: tuple[Signal, ...] = (*ANSWERS, *RECORDS, *SHOWN)  # of a server
READINGS: tuple[Signal, ...] = (*TRIAL, *WATCHED)  # of the process that watches the log
TABLE: tuple[Signal, ...] = (*SIGNALS, *READINGS)
