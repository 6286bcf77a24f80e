"""Service level indicators: each number with its target, its uncertainty and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from serving.metrics.estimates import Estimate
from serving.metrics.kinds import Signal, Sli
from serving.metrics.signals import SIGNALS
from serving.metrics.state import State
from serving.metrics.sums import Sums

Shown = dict[str, Any]  # an indicator as JSON


def slis_of(
    sums: Sums, seconds: float, state: State | None = None, *, by_arm: bool = False
) -> dict[str, Shown]:
    """Every indicator of sums over so many seconds, in the order of the table, as JSON.

    value is null where there is no data, low and high where the data set no bound. verdict: ok or
    missed where the whole interval meets or misses the target, unsure where it holds both, and
    null without target or data. by_arm: those alone that are told apart by arm.
    """
    out = {}
    for signal, sli in indicators(SIGNALS):
        if sli.of is not None and (signal.by_arm or not by_arm):
            out[sli.name] = shown(sli, measure_of(signal, sli), sli.of(sums, seconds))
        elif sli.of_state is not None and state is not None:
            out[sli.name] = shown(sli, measure_of(signal, sli), sli.of_state(state))
    return out


def indicators(signals: Iterable[Signal]) -> Iterator[tuple[Signal, Sli]]:
    """Every indicator beside the signal that it is read off."""
    return ((signal, sli) for signal in signals for sli in signal.slis)


def measure_of(signal: Signal, sli: Sli) -> str:
    """M1 to M15."""
    return sli.measure or signal.measure


def verdict(sli: Sli, found: Estimate | None) -> str | None:
    """Whether an indicator meets its target."""
    if sli.target is None or found is None:
        return None
    low, high = found.low, found.high
    if sli.op == "=":
        if math.isinf(high - low):
            return "unsure"
        return "ok" if low <= sli.target <= high else "missed"
    if sli.op == ">=":
        low, high, target = -high, -low, -sli.target
    else:
        target = sli.target
    return "ok" if high <= target else "missed" if low > target else "unsure"


def shown(sli: Sli, measure: str, found: Estimate | None) -> Shown:
    """An indicator as JSON."""
    value, n, low, high = (None, 0, None, None) if found is None else map(_finite, found)
    return {
        "title": sli.title,
        "value": value,
        "unit": sli.unit,
        "target": sli.target,
        "op": sli.op,
        "n": n,
        "low": low,
        "high": high,
        "verdict": verdict(sli, found),
        "measure": measure,
        "window": sli.window,
        "severity": sli.severity,
        "help": sli.help,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
