"""Indicators as Prometheus series: each with its interval, and whether it misses its target."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from serving.metrics.estimates import Estimate
from serving.metrics.kinds import Sli
from serving.metrics.slis import verdict

Judged = tuple[Sli, dict[str, str], Estimate | None]  # and the labels of what it speaks of
LABELS = ("arm", "version", "metric", "subject")
HELP = {
    "longplay_indicator": "Indicators with a target, and readings with an interval.",
    "longplay_indicator_low": "Lower bound of their interval.",
    "longplay_indicator_high": "Upper bound of their interval.",
    "longplay_indicator_missed": "1 where the whole interval misses the target, 0 where not.",
}


def indicator_families(judged: Iterable[Judged]) -> Iterator[Any]:
    """Four series by `indicator`, `arm`, `version`, `metric` and `subject`; what has no data has
    none, so that an alert needs data that speak against the target. Of indicators without a target
    readings alone are there, with no verdict: their intervals are known nowhere else."""
    from prometheus_client.core import GaugeMetricFamily

    labels = ["indicator", *LABELS]
    made = {name: GaugeMetricFamily(name, help, labels=labels) for name, help in HELP.items()}
    for sli, about, found in judged:
        if found is None or (sli.target is None and (sli.of or sli.of_state)):
            continue
        missed = math.nan if sli.target is None else float(verdict(sli, found) == "missed")
        values = (found.value, found.low, found.high, missed)
        for family, value in zip(made.values(), values, strict=True):
            if math.isfinite(value):
                family.add_metric([sli.name, *(about.get(one, "") for one in LABELS)], value)
    yield from made.values()
