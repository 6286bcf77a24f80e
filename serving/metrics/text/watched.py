"""What the process that watches the log exposes: its readings as Prometheus series and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serving.arms import CANARY, CONTROL, LIVE
from serving.metrics.estimates import Estimate, exact
from serving.metrics.kinds import Signal
from serving.metrics.signals import READINGS
from serving.metrics.slis import Shown, indicators, measure_of, shown
from serving.metrics.text.indicators import Judged, indicator_families
from serving.metrics.text.prometheus import EXTRA, text_of

Reading = Estimate | float | None  # None = no data
Readings = Mapping[tuple[str, str], Reading]  # (series, value of its label, "" where it has none)


def watched_text(readings: Readings, versions: Mapping[str, str]) -> bytes:
    """The text for Prometheus, to be served, or written with the suffix .prom for the textfile
    collector of its node exporter (write it whole: a temporary file that is renamed).

        watched_text(
            {
                ("longplay_session_reward", "canary"): Estimate(3.1, 400, 2.9, 3.3),
                ("longplay_uplift", "reward"): Estimate(0.2, 4_000, 0.1, 0.3),
                ("longplay_rollout_phase", "canary"): 1.0,
                ("longplay_rollout_weight", ""): 0.05,
            },
            {"control": "likes@7", "canary": "likes@8"},
        )

    versions: by arm. Raises ValueError for a series or label that the table does not have, and
    ImportError, which names the extra, where prometheus-client is missing.
    """
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise ImportError(EXTRA) from error
    check_readings(readings)
    return text_of(lambda: _families(readings, versions))


def watched_slis(readings: Readings) -> dict[str, Shown]:
    """The indicators of readings, as `serving.metrics.slis.slis_of` gives those of a server; the
    value of a label stands behind a slash: `uplift/reward`. Raises ValueError as above."""
    check_readings(readings)
    return {
        f"{sli.name}/{label}" if label else sli.name: shown(
            sli, measure_of(signal, sli), _estimate(found)
        )
        for signal, sli in indicators(READINGS)
        if _is_read(signal, sli)
        for label, found in _of(signal, readings)
    }


def check_readings(readings: Readings) -> None:
    """Raises ValueError where a series or its label is not one of the table."""
    labels = {signal.name: signal.label for signal in READINGS}
    for name, label in readings:
        if name not in labels:
            raise ValueError(f"readings have {name!r}, which is none of {', '.join(labels)}")
        if bool(label) != bool(labels[name]):
            wants = f"a value of the label {labels[name]!r}" if labels[name] else "no label"
            raise ValueError(f"reading {name} takes {wants}, not {label!r}")


def _families(readings: Readings, versions: Mapping[str, str]) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    for signal in READINGS:
        own = [signal.label] if signal.label else []
        family = GaugeMetricFamily(signal.name, signal.help, labels=["version", *own])
        for label, found in _of(signal, readings):
            estimate = _estimate(found)
            if estimate is not None:
                about = [version_of(signal, label, versions), *([label] if own else [])]
                family.add_metric(about, estimate.value)
        yield family
    yield from indicator_families(_judged(readings, versions))


def _judged(readings: Readings, versions: Mapping[str, str]) -> Iterator[Judged]:
    for signal, sli in indicators(READINGS):
        if _is_read(signal, sli):
            for label, found in _of(signal, readings):
                about = {"version": version_of(signal, label, versions)}
                yield sli, about | ({signal.label: label} if label else {}), _estimate(found)


def version_of(signal: Signal, label: str, versions: Mapping[str, str]) -> str:
    """Of the arm that a reading is of; else the one that is rolled out, or is live."""
    if signal.label == "arm":
        return versions.get(label, "")
    return versions.get(CANARY) or versions.get(LIVE) or versions.get(CONTROL, "")


def _is_read(signal: Signal, sli: Any) -> bool:
    """Whether an indicator is its signal's reading, and not Prometheus' alone."""
    return sli.alert is None or sli.alert.judged != "expr"


def _of(signal: Signal, readings: Readings) -> list[tuple[str, Reading]]:
    return [(label, found) for (name, label), found in readings.items() if name == signal.name]


def _estimate(found: Reading) -> Estimate | None:
    return found if found is None or isinstance(found, Estimate) else exact(float(found), 1)
