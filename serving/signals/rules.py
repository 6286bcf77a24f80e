"""Recording and alert rules of Prometheus, from the table of signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serving.metrics.kinds import Alert, Severity, Signal, Sli
from serving.metrics.signals import MEASURES, TABLE
from serving.metrics.slis import indicators, measure_of
from serving.metrics.statistics import BUSY
from serving.signals.promql import (
    DECISIONS,
    bad_share,
    budget,
    events,
    is_count,
    number,
    rise,
    total,
)

PIPELINE = "pipeline"  # the label by which a scrape names its deployment
RUNBOOK = "RUNBOOK.md"
LEAST = 100  # events of the longer window: of fewer, one slow answer would wake somebody
DAY = "1d"


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast an error budget may be spent. Beyer et al., Site Reliability Workbook (2018),
    chapter 5, table 5-8: 2 % of a 30-day budget in an hour, 5 % in six hours, 10 % in three days.
    """

    suffix: str
    factor: float
    long: str
    short: str
    severity: Severity


BURNS = (
    Burn("BurnsFast", 14.4, "1h", "5m", "page"),
    Burn("Burns", 6.0, "6h", "30m", "page"),
    Burn("BurnsSlowly", 1.0, "3d", "6h", "ticket"),
)
WINDOWS = ("5m", "30m", "1h", "6h", "3d")


@dataclass(frozen=True, slots=True)
class Recording:
    """An expression that is computed once for all that read it."""

    record: str
    expr: str

    def body(self) -> dict[str, Any]:
        return {"record": self.record, "expr": self.expr}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alert of an indicator."""

    name: str
    signal: Signal
    sli: Sli
    alert: Alert
    expr: str
    severity: Severity
    lasts: str
    says: str  # of what is wrong, in words
    burn: Burn | None = None

    @property
    def by(self) -> tuple[str, ...]:
        return (PIPELINE, *self.alert.fields)

    def labels(self) -> dict[str, str]:
        """That the rule adds to those of `by`."""
        out = {
            "severity": str(self.severity),
            "measure": measure_of(self.signal, self.sli),
            "indicator": self.sli.name,
        }
        if "version" not in self.alert.fields:
            out["version"] = "all"
        if self.expr.startswith("absent("):
            out[PIPELINE] = "all"
        return out

    def annotations(self, runbook: str = RUNBOOK) -> dict[str, str]:
        """With Prometheus' templates for the value and for what is told apart."""
        whose = "".join(f", {name} {{{{ $labels.{name} }}}}" for name in self.alert.fields)
        return {
            "summary": f"{self.says} (now {{{{ $value | printf `%.3g` }}}}{whose}).",
            "description": f"{MEASURES[measure_of(self.signal, self.sli)].capitalize()}: "
            f"{self.sli.help}.",
            "what_to_do": self.alert.act,
            "runbook_url": f"{runbook}#{self.alert.runbook}",
        }

    def body(self, runbook: str = RUNBOOK) -> dict[str, Any]:
        lasts = {} if self.lasts == "0m" else {"for": self.lasts}
        return {
            "alert": self.name,
            "expr": self.expr,
            **lasts,
            "labels": self.labels(),
            "annotations": self.annotations(runbook),
        }


def recordings() -> Iterator[Recording]:
    """What alerts of burn rates, and comparisons with the day before, are made of."""
    for signal, sli in indicators(TABLE):
        alert = sli.alert
        if alert is None:
            continue
        by = (PIPELINE, *alert.fields)
        if alert.judged == "burn":
            for window in WINDOWS:
                name = _bad(sli, window)
                yield Recording(name, bad_share(signal, sli, window, by))
            for burn in BURNS:
                yield Recording(_events(sli, burn.long), events(sli, burn.long, by))
        elif alert.judged in ("fell", "rose"):
            yield Recording(_number(sli), number(signal, sli, alert.window, by))
            every = number(signal, sli, alert.window, (PIPELINE,))
            yield Recording(_number(sli, every=True), every)


def alert_rules() -> tuple[AlertRule, ...]:
    """Every alert of the table; an indicator with an error budget has three."""
    return tuple(
        rule
        for signal, sli in indicators(TABLE)
        if sli.alert is not None
        for rule in _rules(signal, sli, sli.alert)
    )


def rule_file(runbook: str = RUNBOOK) -> dict[str, Any]:
    """The content of a rule file. runbook: where RUNBOOK.md is read, an address."""
    return {
        "groups": [
            {"name": "longplay-recordings", "rules": [one.body() for one in recordings()]},
            {"name": "longplay-alerts", "rules": [one.body(runbook) for one in alert_rules()]},
        ]
    }


def alert_name(sli: Sli) -> str:
    """As Prometheus and the alarms of a server call it."""
    return "Longplay" + "".join(word.capitalize() for word in sli.name.split("_"))


def _rules(signal: Signal, sli: Sli, alert: Alert) -> Iterator[AlertRule]:
    by = (PIPELINE, *alert.fields)
    name = alert_name(sli)
    if alert.judged == "burn":
        for burn in BURNS:
            most = f"{burn.factor * budget(sli):g}"
            expr = (
                f"{_bad(sli, burn.long)} > {most} and {_bad(sli, burn.short)} > {most} "
                f"and {_events(sli, burn.long)} >= {LEAST}"
            )
            says = f"{sli.title}: the error budget is spent {burn.factor:g} times too fast"
            yield AlertRule(
                name + burn.suffix, signal, sli, alert, expr, burn.severity, "0m", says, burn
            )
        return
    if alert.judged == "expr":
        expr, says = alert.promql, sli.help.capitalize()
    elif alert.judged in ("fell", "rose"):
        op, word = ("<", "below") if alert.judged == "fell" else (">", "above")
        before = f"({alert.factor:g} * {_number(sli, every=True)} offset {DAY})"
        expr = f"{_number(sli)} {op} on ({PIPELINE}) group_left () {before}{_guard(signal, alert)}"
        says = f"{sli.title} is {word} {alert.factor:g} times that of the day before"
    elif is_count(sli):
        expr, says = rise(signal, alert.window, by), f"{sli.title} within {alert.window}"
    elif by_interval(signal, sli):
        missed = f'longplay_indicator_missed{{indicator="{sli.name}"}}'
        expr = f"max by ({', '.join(by)}) ({missed}) == 1"
        says = f"{sli.title} misses its target with its whole interval"
    else:
        value = number(signal, sli, alert.window, by)
        op = "<" if sli.op == ">=" else ">"
        expr = f"{value} {op} {sli.target:g}{_guard(signal, alert)}"
        says = f"{sli.title} misses its target of {sli.target:g}{sli.unit and ' ' + sli.unit}"
    yield AlertRule(name, signal, sli, alert, expr, alert.severity, alert.lasts, says)


def by_interval(signal: Signal, sli: Sli) -> bool:
    """Whether an alert reads the verdict of the process that knows the interval."""
    return sli.op == "=" or signal.kind == "reading"


def _guard(signal: Signal, alert: Alert) -> str:
    if signal.kind == "process" and alert.judged == "bound":
        return f" and {total(DECISIONS, alert.window, (PIPELINE,))} >= {BUSY:g}"
    if not signal.by_arm or "version" not in alert.fields:
        return ""
    asked = total(DECISIONS, alert.window, (PIPELINE, *alert.fields), "increase")
    return f" and {asked} >= {LEAST}"


def _bad(sli: Sli, window: str) -> str:
    return f"longplay:{sli.name}_bad:ratio_rate{window}"


def _events(sli: Sli, window: str) -> str:
    return f"longplay:{sli.name}_events:increase{window}"


def _number(sli: Sli, *, every: bool = False) -> str:
    return f"longplay:{sli.name}{'_every_version' if every else ''}:value"
