"""Service level indicators: each number with its target, its uncertainty and a verdict."""

from __future__ import annotations

import math
from typing import Any

from serving.metrics.estimates import Estimate
from serving.metrics.kinds import Sli
from serving.metrics.signals import SIGNALS
from serving.metrics.sums import Sums


def slis_of(sums: Sums, seconds: float) -> dict[str, dict[str, Any]]:
    """Every indicator of sums over so many seconds, in the order of the table, as JSON.

    value is null where there is no data, low and high where the data set no bound. verdict: ok or
    missed where the whole interval meets or misses the target, unsure where it holds both, and
    null without target or data.
    """
    return {
        sli.name: _json(sli, signal.measure, sli.of(sums, seconds))
        for signal in SIGNALS
        for sli in signal.slis
    }


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


def _json(sli: Sli, measure: str, found: Estimate | None) -> dict[str, Any]:
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
        "help": sli.help,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
