"""What sends alerts to people: grouped, deduplicated, tickets silenced by pages; and the scrape."""

from __future__ import annotations

from typing import Any

from serving.metrics.signals import SIGNALS
from serving.metrics.slis import indicators
from serving.signals.rules import PIPELINE, alert_name

GROUP = [PIPELINE, "version"]
SILENCE = next(alert_name(sli) for _, sli in indicators(SIGNALS) if sli.name == "silence")


def alertmanager_config() -> dict[str, Any]:
    """Alertmanager's configuration; put the addresses of your pager and of your tickets into the
    two receivers."""
    return {
        "route": {
            "receiver": "tickets",
            "group_by": GROUP,
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "24h",
            "routes": [
                {
                    "matchers": ['severity="page"'],
                    "receiver": "pager",
                    "group_by": GROUP,
                    "group_wait": "10s",
                    "group_interval": "1m",
                    "repeat_interval": "1h",
                },
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity="page"'],
                "target_matchers": ['severity="ticket"'],
                "equal": [*GROUP, "measure"],
            },
            {
                "source_matchers": [f'alertname="{SILENCE}"'],
                "target_matchers": ['severity="ticket"'],
                "equal": [PIPELINE],
            },
        ],
        "receivers": [{"name": "pager"}, {"name": "tickets"}],
    }


def prometheus_config(rules: str) -> dict[str, Any]:
    """Prometheus' configuration: a server, the watch of its rollout, and the rules; the label
    `pipeline` names the deployment that both belong to."""
    here = {PIPELINE: "main"}
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "30s"},
        "rule_files": [rules],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": ["localhost:9093"]}]}],
        },
        "scrape_configs": [
            {
                "job_name": "longplay",
                "static_configs": [{"targets": ["localhost:8080"], "labels": here}],
            },
            {
                "job_name": "longplay-watch",
                "static_configs": [{"targets": ["localhost:9100"], "labels": here}],
            },
        ],
    }
