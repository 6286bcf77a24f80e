"""The table of signals as Prometheus series of a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from serving.metrics.arms import NOBODY, Arm
from serving.metrics.kinds import Signal
from serving.metrics.signals import SIGNALS
from serving.metrics.slis import indicators
from serving.metrics.state import State
from serving.metrics.sums import Sums
from serving.metrics.text.indicators import Judged, indicator_families

EXTRA = "metrics need prometheus-client: pip install 'longplay[serve]'"
BY_ARM = ("arm", "version")
Each = Mapping[Arm, Sums]


def exposition(totals: Each, windows: Each, seconds: float, state: State | None) -> bytes:
    """The text that Prometheus scrapes, from a registry of its own.

    totals: since the start; windows: of the last `seconds`; both by arm and version. Raises
    ImportError, which names the extra, where prometheus-client is missing.
    """
    try:
        from prometheus_client import ProcessCollector
    except ImportError as error:
        raise ImportError(EXTRA) from error

    return text_of(lambda: families(totals, windows, seconds, state), ProcessCollector)


def text_of(collect: Any, *collectors: Any) -> bytes:
    """The text of the families that a function gives and of further collectors."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Series:
        def collect(self) -> Iterator[Any]:
            found: Iterator[Any] = collect()
            return found

    registry = CollectorRegistry()
    for collector in collectors:
        collector(registry=registry)
    registry.register(Series())
    return generate_latest(registry)


def families(totals: Each, windows: Each, seconds: float, state: State | None) -> Iterator[Any]:
    """Every series, in the order of the table."""
    from prometheus_client.core import InfoMetricFamily

    make = {"counter": _counter, "histogram": _histogram, "summary": _summary}
    for signal in SIGNALS:
        if signal.kind in make:
            yield make[signal.kind](signal, _parts(signal, totals, state))
        elif signal.kind == "gauge":
            yield _gauge(signal, windows, seconds)
        elif signal.kind == "state" and state is not None:
            yield _state(signal, state)
    yield from indicator_families(_judged(windows, seconds))
    if state is not None:
        about = {"version": state.policy, "sha256": state.sha256, "rules": state.rules}
        yield InfoMetricFamily("longplay_policy", "What is served.", value=about)


def _parts(signal: Signal, totals: Each, state: State | None) -> Each:
    """Sums by the values of the labels of an arm, or everything under none.

    What is served has its series from the start, at 0, so that its first event is a rise.
    """
    if not signal.by_arm:
        return {NOBODY: reduce(add, totals.values(), Sums())}
    parts = dict(totals)
    if state is not None and not any(version == state.policy for _, version in parts):
        parts["live", state.policy] = Sums()
    return parts


def _labels(signal: Signal) -> list[str]:
    return [*(BY_ARM if signal.by_arm else ()), *([signal.label] if signal.label else [])]


def _counter(signal: Signal, parts: Each) -> Any:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(signal.name, signal.help, labels=_labels(signal))
    for arm, sums in parts.items():
        found = dict.fromkeys(signal.known, 0.0)
        found |= {label: n for (name, label), n in sums.counts.items() if name == signal.name}
        for label, n in sorted(found.items()) if signal.label else [("", sum(found.values()))]:
            own = [label] if signal.label else []
            family.add_metric([*(arm if signal.by_arm else ()), *own], n)
    return family


def _histogram(signal: Signal, parts: Each) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    assert signal.edges is not None
    fixed = dict(signal.fixed)
    labels = [*fixed, *_labels(signal)]
    family = HistogramMetricFamily(f"{signal.name}_{signal.unit}", signal.help, labels=labels)
    edges = [*(f"{edge:g}" for edge in signal.edges), "+Inf"]
    for arm, each in parts.items():
        if arm == NOBODY and signal.by_arm:
            continue
        sums = each.histograms.get(signal.name, np.zeros(len(signal.edges) + 2))
        reached = np.cumsum(sums[:-1])
        buckets = [(edge, float(n)) for edge, n in zip(edges, reached, strict=True)]
        own = arm if signal.by_arm else ()
        family.add_metric([*fixed.values(), *own], buckets, float(sums[-1]))
    return family


def _summary(signal: Signal, parts: Each) -> Any:
    from prometheus_client.core import SummaryMetricFamily

    name = f"{signal.name}_{signal.unit}" if signal.unit else signal.name
    family = SummaryMetricFamily(name, signal.help, labels=_labels(signal))
    for arm, sums in parts.items():
        if arm != NOBODY:
            n, value, _ = sums.moments.get(signal.name, np.zeros(3))
            family.add_metric([*arm], n, float(value))
    return family


def _gauge(signal: Signal, windows: Each, seconds: float) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(signal.name, signal.help, labels=_labels(signal))
    for arm, sums in windows.items():
        for sli in signal.slis:
            found = None if sli.of is None or arm == NOBODY else sli.of(sums, seconds)
            if found is not None:
                family.add_metric([*arm], found.value)
    return family


def _judged(windows: Each, seconds: float) -> Iterator[Judged]:
    """Indicators with a target that are told apart by arm, of every arm that has data."""
    for signal, sli in indicators(SIGNALS):
        if sli.of is None or sli.target is None or not signal.by_arm:
            continue
        for (arm, version), sums in windows.items():
            if (arm, version) != NOBODY:
                yield sli, {"arm": arm, "version": version}, sli.of(sums, seconds)


def _state(signal: Signal, state: State) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    value, labels, counts = {
        "longplay_queue_length": (state.queue, {}, False),
        "longplay_events_number": (state.number, {"writer": state.writer}, False),
        "longplay_swaps": (state.swaps, {}, True),
        "longplay_load_failures": (state.load_failures, {}, True),
        "longplay_pointer_unfollowed": (float(state.unfollowed), {}, False),
        "longplay_start_time": (state.since, {}, False),
    }[signal.name]
    name = f"{signal.name}_{signal.unit}" if signal.unit else signal.name
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    family = kind(name, signal.help, labels=[*labels])
    family.add_metric([*labels.values()], value)
    return family
