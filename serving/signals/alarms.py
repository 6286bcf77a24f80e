"""Alarms: what the table of signals says of indicators as a server or a watch knows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from serving.metrics.kinds import Severity, Sli
from serving.metrics.signals import TABLE
from serving.metrics.slis import Shown, indicators, measure_of
from serving.signals.promql import budget
from serving.signals.rules import BURNS, LEAST, alert_name

ALL = "all"  # the version of what is not told apart by version
BY_NAME = {sli.name: (measure_of(signal, sli), sli) for signal, sli in indicators(TABLE)}
BY_ARM = {sli.name for signal, sli in indicators(TABLE) if signal.by_arm}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alert that fires."""

    name: str  # as Prometheus' rules call it
    title: str
    measure: str  # M1 to M15
    severity: Severity  # page or ticket
    what_to_do: str
    runbook: str  # anchor in RUNBOOK.md
    said: str  # the value with its interval, and the target
    version: str = ALL
    pipeline: str = ""
    about: str = ""  # the arm or metric that it speaks of; "" = none

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def firing(
    slis: Mapping[str, Shown],
    *,
    version: str = ALL,
    pipeline: str = "",
    before: Mapping[str, Shown] | None = None,
) -> list[Alarm]:
    """Alarms of indicators, as `slis_of` and `watched_slis` give them; pages first.

    An alarm needs data that speak against the target: its whole interval lies beyond it. A budget
    that is spent too fast is judged by the interval's near end. before: the same indicators a day
    ago, for those which are compared with them; without it they are not judged.
    """
    found = []
    for key, shown in slis.items():
        name, _, about = key.partition("/")
        measure, sli = BY_NAME.get(name, ("", None))
        if sli is None or sli.alert is None:
            continue
        told = _told(sli, shown, None if before is None else before.get(key))
        if told is not None:
            suffix, severity, against = told
            found.append(
                Alarm(
                    name=alert_name(sli) + suffix,
                    title=sli.title,
                    measure=measure,
                    severity=severity,
                    what_to_do=sli.alert.act,
                    runbook=sli.alert.runbook,
                    said=f"{_text(shown)}; {against}",
                    version=version,
                    pipeline=pipeline,
                    about=about,
                )
            )
    return grouped(found)


def firing_by_arm(
    whole: Mapping[str, Shown],
    arms: Mapping[tuple[str, str], Mapping[str, Shown]],
    *,
    pipeline: str = "",
) -> list[Alarm]:
    """Alarms of a server: of each arm and version what is told apart by version, and of the whole
    what is not."""
    found = firing({k: v for k, v in whole.items() if not _apart(k)}, pipeline=pipeline)
    for (arm, version), slis in arms.items():
        own = {k: v for k, v in slis.items() if _apart(k)}
        of_arm = firing(own, version=version, pipeline=pipeline)
        found += [replace(one, about=one.about or arm) for one in of_arm]
    return grouped(found)


def grouped(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Each alarm once for each pipeline, version and what it speaks of; without tickets where a
    page of the same measure, version and pipeline says more; pages first, then by measure."""
    once: dict[tuple[str, ...], Alarm] = {}
    for one in sorted(alarms, key=lambda one: one.severity != "page"):
        once.setdefault((one.pipeline, one.version, one.name, one.about), one)
    pages = {(a.pipeline, a.version, a.measure) for a in once.values() if a.severity == "page"}
    kept = [
        one
        for one in once.values()
        if one.severity == "page" or (one.pipeline, one.version, one.measure) not in pages
    ]
    return sorted(kept, key=_order)


def _order(one: Alarm) -> tuple[Any, ...]:
    return one.severity != "page", one.pipeline, one.version, int(one.measure[1:] or 0), one.name


def _apart(key: str) -> bool:
    _, sli = BY_NAME[key.partition("/")[0]]
    return sli.alert is not None and "version" in sli.alert.fields


def _told(sli: Sli, shown: Shown, before: Shown | None) -> tuple[str, Severity, str] | None:
    """The suffix of the alert's name, its severity, and against what it was judged."""
    alert = sli.alert
    assert alert is not None
    if shown["value"] is None or alert.judged == "expr":
        return None
    low, high = _bounds(shown)
    if alert.judged in ("fell", "rose"):
        if before is None or before["value"] is None:
            return None
        if sli.name in BY_ARM and "version" in alert.fields and shown["n"] < LEAST:
            return None  # as the rules of Prometheus ask for so many decisions
        was_low, was_high = _bounds(before)
        against = f"a day before {_text(before)}"
        if alert.judged == "fell":
            return ("", alert.severity, against) if high < alert.factor * was_low else None
        return ("", alert.severity, against) if low > alert.factor * was_high else None
    if shown["verdict"] != "missed":
        return None
    against = f"target {sli.op} {sli.target:g}"
    if alert.judged == "bound":
        return "", alert.severity, against
    if shown["n"] < LEAST:
        return None  # one bad event of few wakes nobody
    bad = 1 - high if sli.op == ">=" else low
    burn = next((one for one in BURNS if bad > one.factor * budget(sli)), BURNS[-1])
    return burn.suffix, burn.severity, against


def _bounds(shown: Shown) -> tuple[float, float]:
    low, high = shown["low"], shown["high"]
    return -math.inf if low is None else low, math.inf if high is None else high


def _text(shown: Shown) -> str:
    low, high, unit = shown["low"], shown["high"], shown["unit"]
    unit = f" {unit}" if unit and unit != "share" else ""
    if low == high:
        return f"{shown['value']:.4g}{unit}"
    interval = f"[{_bound(low)}, {_bound(high)}]"
    return f"{shown['value']:.4g}{unit} {interval} of {shown['n']:,.0f}"


def _bound(value: float | None) -> str:
    return "no bound" if value is None else f"{value:.4g}"
