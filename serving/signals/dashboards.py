"""Grafana dashboards: for executives, for whoever is on call, and for whoever looks for a cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from serving.metrics.kinds import Signal
from serving.metrics.signals import MEASURES, TABLE
from serving.metrics.slis import indicators, measure_of
from serving.signals.promql import is_count, number, rise, series_of, total
from serving.signals.rules import BURNS, PIPELINE, RUNBOOK

UNITS = {"share": "percentunit", "ms": "ms", "s": "s", "/s": "reqps", "MB": "decmbytes"}
WIDTH, HEIGHT = 12, 8  # of a panel; a row is 24 wide
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ALARMS = 'ALERTS{alertstate="firing", alertname=~"Longplay.+"}'
EXECUTIVE = (
    "session_reward", "uplift", "returns", "session_length", "requests", "success", "violations",
)  # fmt: skip
ON_CALL = (
    "requests", "success", "fallback", "within_50ms", "latency_p95", "latency_p99", "logged",
    "outcomes_known", "log_incomplete", "violations", "unfollowed", "log_silence", "sample_ratio",
    "arm_mean_weight", "history_mismatch", "drift", "bots",
)  # fmt: skip
Panel = dict[str, Any]


def dashboards() -> dict[str, dict[str, Any]]:
    """By the name of their file."""
    return {
        "executive.json": _dashboard("executive", "Longplay: value and rollout", _executive()),
        "on-call.json": _dashboard("on-call", "Longplay: on call", _on_call()),
        "debug.json": _dashboard("debug", "Longplay: looking for a cause", _debug()),
    }


def _executive() -> Iterator[Panel]:
    yield _panel("Versions served", ["count by (version) (longplay_policy_info)"], "{{version}}")
    yield _panel(
        "Users served by the canary",
        ["max by (version) (longplay_rollout_weight)"],
        "{{version}}",
        unit="percentunit",
    )
    yield _panel("Phase of the rollout", ["max by (phase) (longplay_rollout_phase)"], "{{phase}}")
    yield from _of(EXECUTIVE)
    for bound in ("low", "high"):
        expr = f'longplay_indicator_{bound}{{indicator="uplift"}}'
        yield _panel(f"Uplift, {bound} bound", [expr], "{{metric}} {{version}}")


def _on_call() -> Iterator[Panel]:
    yield _panel("Alerts that fire", [ALARMS], "{{alertname}} {{version}}", kind="table")
    for _, sli in indicators(TABLE):
        if sli.alert is not None and sli.alert.judged == "burn":
            exprs = [f"longplay:{sli.name}_bad:ratio_rate{burn.long}" for burn in BURNS]
            yield _panel(f"{sli.title}: budget spent", exprs, "{{version}}", unit="percentunit")
    yield from _of(ON_CALL)


def _debug() -> Iterator[Panel]:
    """Every series of the table, by arm and version and by its label."""
    for signal in TABLE:
        by = [*(("arm", "version") if signal.by_arm or signal.label == "arm" else ())]
        by += [signal.label] if signal.label and signal.label not in by else []
        title = f"{signal.measure} {series_of(signal)}".strip()
        legend = " ".join(f"{{{{{name}}}}}" for name in by)
        yield _panel(title, _series(signal, by), legend, help=signal.help)


def _series(signal: Signal, by: Sequence[str]) -> list[str]:
    name, own = series_of(signal), (PIPELINE, *by)
    if name.endswith("_total"):
        return [total(name, "5m", own)]
    if signal.kind == "histogram":
        inside = total(f"{name}_bucket", "5m", ("le", *own))
        return [f"histogram_quantile({q:g}, {inside})" for q in (0.5, 0.95, 0.99)]
    if signal.kind == "summary":
        return [f"{total(name + '_sum', '5m', own)} / {total(name + '_count', '5m', own)}"]
    return [f"max by ({', '.join(own)}) ({name})"]


def _of(names: Sequence[str]) -> Iterator[Panel]:
    """Indicators of the table, in the order of their names."""
    known = {sli.name: (signal, sli) for signal, sli in indicators(TABLE)}
    for name in names:
        signal, sli = known[name]
        own = ["version"] if signal.by_arm or signal.kind == "reading" else []
        own += [signal.label] if signal.kind == "reading" and signal.label else []
        by = (PIPELINE, *own)
        expr = rise(signal, "5m", by) if is_count(sli) else number(signal, sli, "5m", by)
        yield _panel(
            f"{measure_of(signal, sli)} {sli.title}",
            [expr],
            " ".join(f"{{{{{one}}}}}" for one in own),
            unit=UNITS.get(sli.unit, "short"),
            target=sli.target,
            help=f"{MEASURES[measure_of(signal, sli)].capitalize()}: {sli.help}.",
            runbook=None if sli.alert is None else sli.alert.runbook,
        )


def _panel(
    title: str,
    exprs: Sequence[str],
    legend: str,
    *,
    unit: str = "short",
    target: float | None = None,
    help: str = "",
    runbook: str | None = None,
    kind: str = "timeseries",
) -> Panel:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    shown = {}
    if target is not None:
        steps.append({"color": "red", "value": target})
        shown = {"custom": {"thresholdsStyle": {"mode": "line"}}}
    links = [] if runbook is None else [{"title": "What to do", "url": f"{RUNBOOK}#{runbook}"}]
    several = len(exprs) > 1
    return {
        "type": kind,
        "title": title,
        "description": help,
        "datasource": SOURCE,
        "links": links,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                **shown,
            },
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "expr": expr,
                "legendFormat": f"{legend} {chr(ord('A') + i)}".strip() if several else legend,
                "datasource": SOURCE,
                "instant": kind == "table",
                "format": kind if kind == "table" else "time_series",
            }
            for i, expr in enumerate(exprs)
        ],
    }


def _dashboard(uid: str, title: str, panels: Iterator[Panel]) -> dict[str, Any]:
    placed = [
        panel
        | {
            "id": i + 1,
            "gridPos": {"x": i % 2 * WIDTH, "y": i // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        }
        for i, panel in enumerate(panels)
    ]
    return {
        "uid": f"longplay-{uid}",
        "title": title,
        "tags": ["longplay"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {"name": "filters", "type": "adhoc", "datasource": SOURCE},
            ]
        },
        "panels": placed,
    }
