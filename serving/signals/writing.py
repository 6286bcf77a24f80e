"""All files that are generated from the table of signals."""

from __future__ import annotations

import json
from typing import Any

from serving.signals.alertmanager import alertmanager_config, prometheus_config
from serving.signals.dashboards import dashboards
from serving.signals.promtool import rule_tests
from serving.signals.rules import RUNBOOK, rule_file
from serving.signals.runbook import runbook

EXTRA = "rules are written as YAML by msgspec and PyYAML: pip install 'longplay[serve]'"
RULES = "alerts.yml"
MADE = "# Generated from the table of signals: longplay signals --out FOLDER\n"


def files(link: str = RUNBOOK) -> dict[str, str]:
    """Content by path. link: where people read RUNBOOK.md, an address or a path.

    Raises ImportError, which names the extra, where YAML cannot be written.
    """
    made = {
        RULES: _yaml(rule_file(link)),
        "alertmanager.yml": _yaml(alertmanager_config()),
        "prometheus.yml": _yaml(prometheus_config(RULES)),
        RUNBOOK: runbook(),
    }
    made |= {name: _yaml(body) for name, body in rule_tests("alerts", RULES, link).items()}
    made |= {
        f"dashboards/{name}": json.dumps(body, indent=1) + "\n"
        for name, body in dashboards().items()
    }
    return made


def _yaml(body: Any) -> str:
    try:
        import msgspec

        return MADE + msgspec.yaml.encode(body).decode()
    except ImportError as error:
        raise ImportError(EXTRA) from error
