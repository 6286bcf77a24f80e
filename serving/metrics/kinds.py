"""What a signal, an indicator and its alert are: the columns of the table of signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from serving.metrics.estimates import Estimate
from serving.metrics.state import State
from serving.metrics.sums import F64, Sums

Kind = Literal["counter", "histogram", "summary", "gauge", "state", "process", "reading"]
Statistic = Callable[[Sums, float], Estimate | None]  # of sums over so many seconds; None = no data
Op = Literal["<=", ">=", "="]
Severity = Literal["page", "ticket", "none"]
Judged = Literal["burn", "bound", "fell", "rose", "expr"]


@dataclass(frozen=True, slots=True)
class Alert:
    """When somebody is told that an indicator misses its target, and what they do.

    judged: `burn` = by how fast the error budget is spent (Site Reliability Workbook, 2018,
        chapter 5: pages and a ticket, whatever `severity` says); `bound` = by the target; `fell`
        and `rose` = by `factor` times the same number a day before; `expr` = by Prometheus alone.
    """

    severity: Severity
    judged: Judged
    runbook: str  # anchor in RUNBOOK.md
    act: str  # what to do first, a sentence
    window: str = "5m"  # over which the number is taken
    lasts: str = "5m"  # how long it must be so before somebody is told
    factor: float = 1.0
    promql: str = ""  # of `expr`
    fields: tuple[str, ...] = ("version",)  # that tell its alerts apart, beside the pipeline


@dataclass(frozen=True, slots=True)
class Sli:
    """One number that is watched.

    of: reads it off sums; of_state: off what a server is at the moment. An indicator with neither
    is a reading of the process that watches the log, or is seen by Prometheus alone.
    """

    name: str
    title: str
    unit: str
    help: str
    of: Statistic | None = None
    op: Op = "<="
    target: float | None = None
    alert: Alert | None = None
    of_state: Callable[[State], Estimate | None] | None = None
    measure: str = ""  # where it is not its signal's

    @property
    def severity(self) -> Severity:
        return "none" if self.alert is None else self.alert.severity

    @property
    def window(self) -> str:
        return "5m" if self.alert is None else self.alert.window


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One thing that is summed: a series, and the indicators that are read off it."""

    name: str  # of the series, without the unit's suffix
    measure: str  # M1, M2 ... of the list of service level indicators; "" = none
    kind: Kind
    unit: str  # suffix of the series; "" = none
    help: str
    label: str = ""  # its one label; values are of a small fixed set
    known: tuple[str, ...] = ()  # values that are there from the start, at 0
    fixed: tuple[tuple[str, str], ...] = ()  # labels that never change
    edges: F64 | None = None  # (E,) of a histogram
    slis: tuple[Sli, ...] = ()
    by_arm: bool = False  # its series are told apart by arm and version
    fed_by: tuple[str, ...] = ()  # commands that write a reading: `FEEDS` of serving.signals.feeds
