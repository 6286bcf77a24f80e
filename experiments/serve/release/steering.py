"""`longplay release hold|resume|stop|rollout`: a person's word to a rollout, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.serve.release.rollout_text import about_rollout, step_table
from serving import Registry
from serving.rollout.controller import order
from serving.rollout.journal import Journal, as_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person says to a rollout."""

    registry: Path
    """The registry's folder."""
    why: str = ""
    """For the journal."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Word):
    """Keep the canary at its share of users. What must stop it still does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Word):
    """Let it go on, with the planned exposure of the stage once more where that was spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Word):
    """Take the canary away: what is live serves all users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Where the rollout is, and the steps that led there."""

    registry: Path
    """The registry's folder."""
    last: int = 20
    """Steps that are shown."""
    json: bool = False
    """Print JSON, with all numbers that each step saw."""


def steer(settings: Word) -> tuple[str, Any]:
    """Say it to the rollout."""
    what = type(settings).__name__.lower()
    registry = Registry(settings.registry)
    step = order(registry, what, by=settings.by, why=settings.why or "no reason was given")
    return f"{step.state.version}: {step.reason}", as_dict(Journal(registry.folder).made()[-1])


def rollout(settings: Rollout) -> tuple[str, Any]:
    """Say where it is."""
    journal = Journal(Registry(settings.registry).folder)
    record = journal.load()
    if record is None:
        return "no rollout began here", {"rollout": None, "steps": []}
    made = [one for one in journal.made() if one.rollout == record.rollout][-settings.last :]
    text = f"{about_rollout(record)}\n\n{step_table(made)}"
    return text, {"rollout": as_dict(record), "steps": [as_dict(one) for one in made]}
