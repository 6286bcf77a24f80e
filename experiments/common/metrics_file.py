"""Readings as a file for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from offpolicy.storage.atomic import write_bytes
from serving.metrics.text.watched import Readings, watched_text


def check_metrics_file(file: Path | None) -> None:
    """Raise ValueError for a name that the collector would pass over, and ImportError, which names
    the extra, where nothing could be written: before the work begins."""
    if file is None:
        return
    if file.suffix != ".prom":
        raise ValueError(f"--metrics {file}: its name must end with .prom")
    watched_text({}, {})


def write_readings(file: Path | None, readings: Readings, versions: Mapping[str, str]) -> None:
    """Write them whole or not at all; versions: by arm."""
    if file is not None:
        write_bytes(file, watched_text(readings, versions))
