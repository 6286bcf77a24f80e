"""`longplay trial plan|read`: the size of an A/B test, and what it says at any look."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from experiments.trials.plan import Plan, plan
from experiments.trials.read import Read, read
from offpolicy.report import finite
from offpolicy.storage.atomic import write_text

Settings = Plan | Read


def run(settings: Settings) -> int:
    """Print, write; 1 where the arms of a trial may not be compared."""
    if isinstance(settings, Plan):
        text, record = plan(settings)
        _write(settings.json, record)
        print(text)
        return 0
    text, reading = read(settings)
    _write(settings.json, asdict(reading))
    print(text)
    return 0 if reading.comparable else 1


def _write(path: Path | None, record: dict[str, Any]) -> None:
    if path is not None:
        write_text(path, json.dumps(finite(_plain(record)), indent=1, allow_nan=False))


def _plain(x: Any) -> Any:
    if is_dataclass(x) and not isinstance(x, type):
        return asdict(x)
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return [_plain(v) for v in x] if isinstance(x, list | tuple) else x
