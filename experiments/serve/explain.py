"""`longplay explain`: why a slate was shown, or what a history would be shown and why."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.engine import Engine
from serving.events.folder import SegmentFolder
from serving.events.log import EventReader
from serving.events.memory import MemoryLog
from serving.events.opening import open_events
from serving.explaining.decided import find_decision
from serving.explaining.explain import explain
from serving.live import FALLBACK
from serving.registry.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Why a slate: the parts of each score, what rules closed, which past items moved it most."""

    registry: Path
    """The registry's folder, which longplay release made."""
    decision: str | None = None
    """Explain this decision of --events, by the version that decided."""
    events: str | None = None
    """The event log: a folder, or redis://... or nats://..."""
    history: tuple[str, ...] | None = None
    """Explain what a user with these items would be shown; oldest first, none for a new user."""
    candidates: tuple[str, ...] | None = None
    """Items on offer; retrieved, or the whole catalogue, by default."""
    context: tuple[float, ...] | None = None
    """The policy's user vector; zeros by default."""
    version: str = "live"
    """The version that a history is explained by: its name, the beginning of it, live, previous."""
    top: int = 10
    """Candidates that the text shows."""
    json: bool = False
    """Print JSON, with all candidates."""


def run(settings: Settings) -> int:
    """Print the explanation."""
    given = (settings.decision, settings.history)
    if sum(one is not None for one in given) != 1:
        raise ValueError("give either --decision ID with --events, or --history ITEM ITEM ...")
    registry = Registry(settings.registry)
    if settings.decision is not None:
        explained = _of_decision(registry, settings)
    else:
        engine = _engine(registry, settings.version)
        named = {name: getattr(settings, name) for name in ("history", "candidates", "context")}
        explained = explain(engine, {k: v for k, v in named.items() if v is not None})
    text = explained.text(top=settings.top)
    print(json.dumps(explained.to_json(), indent=1, allow_nan=False) if settings.json else text)
    return 0


def _of_decision(registry: Registry, settings: Settings) -> Any:
    assert settings.decision is not None
    if settings.events is None:
        raise ValueError("--decision needs --events: the event log that holds the decision")
    if settings.candidates is not None or settings.context is not None:
        raise ValueError("--candidates and --context go with --history: a decision has its own")
    events = _reader(settings.events)
    decision = find_decision(events, settings.decision)
    if decision is None:
        raise ValueError(f"{settings.events} holds no decision {settings.decision!r}")
    version = settings.version if decision.policy == FALLBACK else decision.policy
    body = {"decision_id": settings.decision}
    return explain(_engine(registry, version), body, events=events)


def _reader(where: str) -> EventReader:
    """An event log to read from, whoever writes to it."""
    if "://" in where:
        return open_events(where, writer=f"explain.{os.getpid()}")
    return SegmentFolder(where)


def _engine(registry: Registry, version: str) -> Engine:
    """An engine of a version that logs nowhere."""
    release = registry.load(version, warmed=False)
    return Engine(
        release.policy,
        release.catalogue,
        version=release.version,
        sha256=release.sha256,
        secret=registry.secret(),
        events=MemoryLog(),
        retrieval=release.retrieval,
        fallback=release.fallback,
    )
