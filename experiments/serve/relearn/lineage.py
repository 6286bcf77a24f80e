"""`longplay release lineage VERSION`: where a version comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from experiments.serve.relearn.retrain_text import lineage_lines
from serving.registry.registry import Registry
from serving.relearning.lineage import ancestry


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A version's parents back to the first, with the cut, learner, gate and code of each."""

    version: tyro.conf.Positional[str]
    """A version, the beginning of one, `live` or `previous`."""
    registry: Path
    """The registry's folder."""
    json: bool = False
    """Print JSON."""


def lineage_shown(settings: Lineage) -> tuple[str, Any]:
    """What a person reads and what a program reads."""
    found = ancestry(Registry(settings.registry), settings.version)
    record = [
        {"version": version, "lineage": None if one is None else json.loads(one.to_json())}
        for version, one in found
    ]
    return lineage_lines(found), record
