"""Unit tests of the alert rules, for `promtool test rules`: each fires, and is silent without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.signals.playing import About, Span, played
from serving.signals.rules import RUNBOOK, AlertRule, alert_rules

MINUTE, DAY = 60, 86_400
NAMED = {"arm": "canary", "metric": "reward", "version": "likes@7"}
FAULTY, CALM = "music", "books"  # two pipelines: one has the fault, one does not
GOOD = 15  # samples before the change
AFTER = 4  # samples after the change, of a rule that waits for nothing


def rule_tests(rules: str, rule_file: str, link: str = RUNBOOK) -> dict[str, dict[str, Any]]:
    """Files of tests, by name: by the time between their samples.

    rules: the beginning of the files' names; rule_file: the name of the file that they test;
    link: as it has it for the runbook.
    """
    by_look: dict[int, list[AlertRule]] = {}
    for rule in alert_rules():
        by_look.setdefault(_look(span_of(rule)), []).append(rule)
    return {
        f"{rules}_{seconds // MINUTE}m_test.yml": {
            "rule_files": [rule_file],
            "evaluation_interval": f"{seconds // MINUTE}m",
            "group_eval_order": ["longplay-recordings", "longplay-alerts"],
            "tests": [unit_test(rule, link) for rule in some],
        }
        for seconds, some in sorted(by_look.items())
    }


def span_of(rule: AlertRule) -> Span:
    """How long a rule must be played, and at which step, until it can fire."""
    lasts = seconds_of(rule.lasts)
    if rule.burn is not None:
        step = {"1h": MINUTE, "6h": 10 * MINUTE, "3d": 30 * MINUTE}[rule.burn.long]
        return Span(step, 0, _looked_at(seconds_of(rule.burn.long) + MINUTE, step))
    if rule.alert.judged in ("fell", "rose"):
        step = 10 * MINUTE
        fault = lasts + 2 * seconds_of(rule.alert.window)
        return Span(step, DAY // step, _looked_at(DAY + fault, step))
    window = seconds_of(rule.alert.window) if lasts else 0
    waits = 15 if rule.alert.judged == "expr" else AFTER
    return Span(MINUTE, GOOD, GOOD + (lasts + window) // MINUTE + waits)


def _look(span: Span) -> int:
    """How often rules are evaluated: every half an hour where the fault takes hours."""
    return MINUTE if span.seconds == MINUTE else 30 * MINUTE


def _looked_at(seconds: int, step: int) -> int:
    """Samples from 0 to the first time after so many seconds at which rules are evaluated."""
    every = MINUTE if step == MINUTE else 30 * MINUTE
    return -(-seconds // every) * every // step + 1


def unit_test(rule: AlertRule, link: str = RUNBOOK) -> dict[str, Any]:
    """It fires for the pipeline with the fault once that has lasted, and for no other."""
    span = span_of(rule)
    fields = {name: NAMED[name] for name in rule.alert.fields}
    about = {"pipeline": FAULTY, **fields}
    calm = Span(span.seconds, span.steps, span.steps)
    found = played(rule, about, span)
    series = [(one.series, one.text(span)) for one in found.courses]
    if "absent(" not in rule.expr:  # which asks for any pipeline at all
        quiet = played(rule, about | {"pipeline": CALM}, calm)
        series += [(one.series, one.text(calm)) for one in quiet.courses]
    checks = [_check(rule, span.steps - 1, span, about, link, found.value)]
    if span.changed:
        checks.insert(0, _check(rule, span.changed - 1, span, about, link, None))
    return {
        "name": rule.name,
        "interval": f"{span.seconds // MINUTE}m",
        "input_series": [{"series": name, "values": text} for name, text in series],
        "alert_rule_test": checks,
    }


def _check(
    rule: AlertRule, step: int, span: Span, about: About, link: str, value: float | None
) -> dict[str, Any]:
    """What an alert says at a step; None = it is silent."""
    fires = []
    if value is not None:
        labels = {k: v for k, v in about.items() if k in rule.by} | rule.labels()
        texts = {k: _filled(v, about, value) for k, v in rule.annotations(link).items()}
        fires = [{"exp_labels": labels, "exp_annotations": texts}]
    look = _look(span)
    at = f"{step * span.seconds // look * look // MINUTE}m"
    return {"eval_time": at, "alertname": rule.name, "exp_alerts": fires}


def _filled(text: str, about: About, value: float) -> str:
    """An annotation as Prometheus fills it in."""
    text = text.replace("{{ $value | printf `%.3g` }}", f"{value:.3g}")
    for name, own in about.items():
        text = text.replace(f"{{{{ $labels.{name} }}}}", own)
    return text


def seconds_of(text: str) -> int:
    """Of a duration as Prometheus writes it."""
    return int(text[:-1]) * {"m": MINUTE, "h": 60 * MINUTE, "d": DAY}[text[-1]]


def names_of(tests: Sequence[dict[str, Any]]) -> set[str]:
    """Alerts that tests make fire."""
    return {
        check["alertname"]
        for test in tests
        for check in test["alert_rule_test"]
        if check["exp_alerts"]
    }
