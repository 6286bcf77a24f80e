"""Indicators as expressions of PromQL, from the very statistics that a server reads them by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from serving.metrics.kinds import Signal, Sli
from serving.metrics.signals import TABLE
from serving.metrics.statistics import (
    count_of,
    distinct,
    effective,
    mean_of,
    per_decision,
    per_second,
    quantile_of,
    share_of,
    within,
)

JOB = '{job="longplay"}'  # of series that other processes have, too
DECISIONS = "longplay_decisions_total"


def number(signal: Signal, sli: Sli, window: str, by: Sequence[str]) -> str:
    """The indicator over a window, one value for each value of some labels.

    Raises ValueError for an indicator whose statistic Prometheus has no series for.
    """
    if sli.of is None or sli.of in (distinct, effective):
        return f"max by ({_names(by)}) ({series_of(signal)})"
    func, args = _parts(sli)
    if func is share_of:
        return f"{_rate(args[0], args[1], window, by)} / {_rate(args[0], args[2], window, by)}"
    if func is within:
        below = f'{_base(args[0])}_bucket{{le="{args[2]:g}"}}'
        return f"{total(below, window, by)} / {total(_base(args[0]) + '_count', window, by)}"
    if func is quantile_of:
        inside = total(_base(args[0]) + "_bucket", window, ("le", *by))
        scale = "" if args[3] == 1 else f"{args[3]:g} * "
        return f"{scale}histogram_quantile({args[2]:g}, {inside})"
    if func is mean_of:
        name = _base(args[0])
        return f"{total(name + '_sum', window, by)} / {total(name + '_count', window, by)}"
    if func is per_second:
        return total(f"{args[0]}_total", window, by)
    if func is per_decision:
        spent = total(f"{_base(args[0])}_total{JOB}", window, by)
        return f"{args[1]:g} * {spent} / {total(DECISIONS, window, by)}"
    raise ValueError(f"indicator {sli.name} has no series in Prometheus")


def bad_share(signal: Signal, sli: Sli, window: str, by: Sequence[str]) -> str:
    """Of an indicator that is a share: the share that spends its error budget."""
    good = number(signal, sli, window, by)
    return f"1 - {good}" if sli.op == ">=" else good


def events(sli: Sli, window: str, by: Sequence[str]) -> str:
    """How many events the share of an indicator is one of."""
    func, args = _parts(sli)
    if func is within:
        return total(f"{_base(args[0])}_count", window, by, "increase")
    assert func is share_of, sli.name
    return _rate(args[0], args[2], window, by, "increase")


def rise(signal: Signal, window: str, by: Sequence[str]) -> str:
    """Counts of a window above 0; a series that is new in it begins with 0."""
    name = series_of(signal)
    return (
        f"sum by ({_names(by)}) (increase({name}[{window}]) > 0 or "
        f"({name} > 0 unless {name} offset {window}))"
    )


def total(name: str, window: str, by: Sequence[str], what: str = "rate") -> str:
    """The sum of a counter's rates, or increases."""
    return f"sum by ({_names(by)}) ({what}({name}[{window}]))"


def series_of(signal: Signal) -> str:
    """The name of a signal's series in Prometheus; of a histogram or summary, its beginning."""
    name = _base(signal.name)
    counts = signal.kind == "counter" or signal.name in COUNTED
    return f"{name}_total" if counts else name


def is_count(sli: Sli) -> bool:
    """Whether an indicator counts what ought not to happen at all."""
    return sli.of is not None and _parts(sli)[0] is count_of


def budget(sli: Sli) -> float:
    """The share of events that may be bad."""
    assert sli.target is not None, sli.name
    return round(1 - sli.target, 9) if sli.op == ">=" else sli.target


COUNTED = ("longplay_swaps", "longplay_load_failures", "process_cpu")
SIGNAL = {signal.name: signal for signal in TABLE}


def _parts(sli: Sli) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    if isinstance(sli.of, partial):
        return sli.of.func, sli.of.args
    assert sli.of is not None, sli.name
    return sli.of, ()


def _base(name: str) -> str:
    unit = SIGNAL[name].unit
    return f"{name}_{unit}" if unit else name


def _rate(
    name: str, labels: tuple[str, ...], window: str, by: Sequence[str], what: str = "rate"
) -> str:
    label = SIGNAL[name].label
    return total(f'{name}_total{{{label}=~"{"|".join(labels)}"}}', window, by, what)


def _names(by: Sequence[str]) -> str:
    return ", ".join(by)
