"""`longplay release list|show`: what a registry holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from experiments.serve.release.text import about_version, change_lines, version_lines
from serving import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """All versions, and which one is live."""

    registry: Path
    """The registry's folder."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What is known of a version, and when it was live."""

    version: tyro.conf.Positional[str]
    """A version, the beginning of one, `live` or `previous`."""
    registry: Path
    """The registry's folder."""
    json: bool = False
    """Print JSON."""


def versions(registry: Registry) -> tuple[str, Any]:
    """All of them."""
    pointer, every, damaged = registry.pointer(), registry.versions(), registry.damaged()
    record = {
        "damaged": damaged,
        "pointer": json.loads(pointer.to_json()),
        "versions": [one.to_dict() for one in every],
    }
    lines = [version_lines(every, pointer), *(f"damaged: {why}" for why in damaged.values())]
    return "\n".join(lines), record


def version(registry: Registry, version: str) -> tuple[str, Any]:
    """One of them."""
    found = registry.find(version)
    changes = [one for one in registry.history() if found.version in (one.before, one.after)]
    text = f"{found.version}\n\n{about_version(found)}\n\n{change_lines(changes)}"
    return text, found.to_dict() | {"history": [json.loads(one.to_json()) for one in changes]}
