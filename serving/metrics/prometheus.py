"""The table of signals as Prometheus series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from serving.metrics.kinds import Signal
from serving.metrics.signals import SIGNALS
from serving.metrics.state import State
from serving.metrics.sums import Sums

EXTRA = "metrics need prometheus-client: pip install 'longplay[serve]'"


def exposition(total: Sums, window: Sums, seconds: float, state: State | None) -> bytes:
    """The text that Prometheus scrapes, from a registry of its own.

    total: since the start; window: of the last `seconds`. Raises ImportError, which names the
    extra, where prometheus-client is missing.
    """
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    except ImportError as error:
        raise ImportError(EXTRA) from error

    class Series:
        def collect(self) -> Iterator[Any]:
            return families(total, window, seconds, state)

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Series())
    return generate_latest(registry)


def families(total: Sums, window: Sums, seconds: float, state: State | None) -> Iterator[Any]:
    """Every series, in the order of the table."""
    from prometheus_client.core import InfoMetricFamily

    make = {"counter": _counter, "histogram": _histogram, "summary": _summary}
    for signal in SIGNALS:
        if signal.kind in make:
            yield make[signal.kind](signal, total)
        elif signal.kind == "gauge":
            yield _gauge(signal, window, seconds)
        elif state is not None:
            yield _state(signal, state)
    if state is not None:
        about = {"version": state.policy, "sha256": state.sha256, "rules": state.rules}
        yield InfoMetricFamily("longplay_policy", "What is served.", value=about)


def _counter(signal: Signal, total: Sums) -> Any:
    from prometheus_client.core import CounterMetricFamily

    labels = [signal.label] if signal.label else []
    family = CounterMetricFamily(signal.name, signal.help, labels=labels)
    found = {label: n for (name, label), n in total.counts.items() if name == signal.name}
    for label, n in sorted(found.items()) if labels else [("", sum(found.values()))]:
        family.add_metric([label] if labels else [], n)
    return family


def _histogram(signal: Signal, total: Sums) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    assert signal.edges is not None
    sums = total.histograms.get(signal.name, np.zeros(len(signal.edges) + 2))
    reached = np.cumsum(sums[:-1])
    edges = [*(f"{edge:g}" for edge in signal.edges), "+Inf"]
    labels = dict(signal.fixed)
    family = HistogramMetricFamily(f"{signal.name}_{signal.unit}", signal.help, labels=[*labels])
    buckets = [(edge, float(n)) for edge, n in zip(edges, reached, strict=True)]
    family.add_metric([*labels.values()], buckets, float(sums[-1]))
    return family


def _summary(signal: Signal, total: Sums) -> Any:
    from prometheus_client.core import SummaryMetricFamily

    n, value, _ = total.moments.get(signal.name, np.zeros(3))
    name = f"{signal.name}_{signal.unit}" if signal.unit else signal.name
    return SummaryMetricFamily(name, signal.help, count_value=n, sum_value=float(value))


def _gauge(signal: Signal, window: Sums, seconds: float) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(signal.name, signal.help)
    for sli in signal.slis:
        found = sli.of(window, seconds)
        if found is not None:
            family.add_metric([], found.value)
    return family


def _state(signal: Signal, state: State) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    value, labels, counts = {
        "longplay_queue_length": (state.queue, {}, False),
        "longplay_events_next_number": (state.next_number, {"writer": state.writer}, False),
        "longplay_swaps": (state.swaps, {}, True),
        "longplay_load_failures": (state.load_failures, {}, True),
        "longplay_start_time": (state.since, {}, False),
    }[signal.name]
    name = f"{signal.name}_{signal.unit}" if signal.unit else signal.name
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    family = kind(name, signal.help, labels=[*labels])
    family.add_metric([*labels.values()], value)
    return family
