"""`longplay signals --out DIR`: rules, their tests, dashboards and the runbook, from one table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from offpolicy.storage.atomic import write_text
from serving.signals.rules import RUNBOOK
from serving.signals.writing import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Write what Prometheus, Alertmanager and Grafana read, and what a person reads at night.

    alerts.yml: rules for Prometheus; test them with promtool test rules DIR/*_test.yml.
    alertmanager.yml, prometheus.yml: to begin with; put your addresses in.
    dashboards/: executive, on-call and debug, for Grafana. RUNBOOK.md: what to do.
    """

    out: Path
    """A folder; files of these names in it are replaced."""
    runbook: str = RUNBOOK
    """Where people read RUNBOOK.md: the address that alerts link to."""


def run(settings: Settings) -> int:
    """Write them, and say where."""
    for name, content in files(settings.runbook).items():
        write_text(settings.out / name, content)
        print(settings.out / name)
    return 0
