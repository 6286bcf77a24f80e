"""`longplay release promote|rollback`: which version serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from serving import Registry
from serving.registry.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Make a version live; servers that watch the registry follow."""

    version: tyro.conf.Positional[str]
    """A version, or the beginning of one."""
    registry: Path
    """The registry's folder."""
    fallback: tuple[str, ...] | None = None
    """Items that may always be shown, for users whom the policy fails; as before by default."""
    why: str | None = None
    """For the history."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Stop a canary; where there is none, make the version live that was before, and a second
    rollback in a row is refused. A rollout that is still in the shadow has no canary: `longplay
    release stop` ends it."""

    registry: Path
    """The registry's folder."""
    why: str | None = None
    """For the history."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    json: bool = False
    """Print JSON."""


def promote(settings: Promote) -> tuple[str, Any]:
    """Promote, and say what may surprise."""
    registry = Registry(settings.registry)
    before = registry.pointer()
    now = registry.promote(
        settings.version, by=settings.by, why=settings.why, fallback=settings.fallback
    )
    record = json.loads(now.to_json())
    if now.revision == before.revision:
        return f"{now.live} is live already", record
    text = f"{now.live} is live; before: {before.live or 'nothing'}"
    notes = _notes(registry, registry.find("live"), before.live)
    return "\n".join([text, *(f"note: {note}" for note in notes)]), record | {"notes": notes}


def _notes(registry: Registry, live: Version, before: str | None) -> Sequence[str]:
    """What may surprise somebody who promoted a version."""
    notes = [
        f"the gate's verdict on {name} was {verdict}"
        for name, verdict in (live.evidence.verdicts or {}).items()
        if verdict != "pass"
    ]
    old = None if before in (None, live.version) else registry.find(str(before)).contents
    items = "items.json"
    if old is not None and (
        old.files[items]["sha256"] != live.contents.files[items]["sha256"]
        or old.serving != live.contents.serving
    ):
        notes.append("it has other items or sizes: restart servers, which go on with the old one")
    return notes


def rollback(settings: Rollback) -> tuple[str, Any]:
    """Roll back."""
    registry = Registry(settings.registry)
    now = registry.rollback(by=settings.by, why=settings.why)
    change = now.change
    assert change is not None
    if change.before == change.after:
        text = f"the canary is stopped; {now.live} serves all users"
        return text, json.loads(now.to_json())
    text = (
        f"{now.live} is live again; {change.before} is not. Servers that watch the registry swap "
        "back from memory. There is no second rollback: promote a version by its name"
    )
    return text, json.loads(now.to_json())
