"""`longplay release add|list|show|promote|rollback`: versions of policies, and which one serves."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.logs.item_names import item_names, items_beside, open_named_log
from experiments.serve.release_text import about_version, change_lines, version_lines
from serving import Catalogue, Registry
from serving.registry.registry import LIMIT
from serving.registry.retrieving import SOURCES
from serving.registry.versions import LogCut, Version

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Copy a saved policy into a registry, as a version that its content names."""

    folder: tyro.conf.Positional[Path]
    """A folder that policies.save, longplay train-policy or longplay improve wrote."""
    registry: Path
    """The registry's folder; it is made if it is not there."""
    catalogue: Path | None = None
    """Your ids of the policy's items in their order: a text file with one a line, or JSON. By
    default those of --log, of an items.txt beside the policy, or numbers."""
    log: Path | None = None
    """The log that the policy learned from: its hash is kept, and its items' names."""
    gate: Path | None = None
    """The report of longplay gate --out, which is kept."""
    retrieval: str = "auto"
    """Candidates for requests that give none: encoder or features (the policy's item vectors),
    auto, none, or a .npy file of vectors (A, D)."""
    note: str | None = None
    """What a person should know of it."""
    promote: bool = False
    """Make it live at once."""
    fallback: tuple[str, ...] = ()
    """With --promote: items that may always be shown, for users whom the policy fails."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    limit_mb: float = LIMIT / MB
    """A version that takes more, on disk or in memory while it is loaded, is refused."""
    json: bool = False
    """Print JSON."""


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
    """Make the version live that was before; a second rollback in a row is refused."""

    registry: Path
    """The registry's folder."""
    why: str | None = None
    """For the history."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    json: bool = False
    """Print JSON."""


Settings = Add | List | Show | Promote | Rollback


def run(settings: Settings) -> int:
    """Do it, and say what was done."""
    text, record = done(settings)
    print(json.dumps(record, indent=1) if settings.json else text)
    return 0


def done(settings: Settings) -> tuple[str, Any]:
    """What a person reads and what a program reads."""
    match settings:
        case Add():
            return _add(settings)
        case List():
            return _list(Registry(settings.registry))
        case Show():
            return _show(Registry(settings.registry), settings.version)
        case Promote():
            return _promote(settings)
        case Rollback():
            return _rollback(settings)


def _add(settings: Add) -> tuple[str, Any]:
    registry = Registry(settings.registry, limit=int(settings.limit_mb * MB))
    if settings.fallback and not settings.promote:
        raise ValueError("--fallback goes with --promote: items belong to what is live")
    catalogue, cut, notes = _items_of(settings)
    version = registry.add(
        settings.folder,
        catalogue=catalogue,
        retrieval=_retrieval_of(settings.retrieval),
        note=settings.note,
        by=settings.by,
        gate=settings.gate,
        log=cut,
    )
    found = registry.find(version)
    lines = [f"{version} is in {settings.registry}", "", about_version(found)]
    record = found.to_dict() | {"notes": notes}
    if settings.promote:
        given = Promote(
            version=version,
            registry=settings.registry,
            fallback=settings.fallback or None,
            why=settings.note,
            by=settings.by,
        )
        text, pointer = _promote(given)
        lines += ["", text]
        record["pointer"] = pointer
    else:
        where = shlex.quote(str(settings.registry))
        lines += ["", f"next: longplay release promote {version} --registry {where}"]
    return "\n".join([*lines, *(f"note: {note}" for note in notes)]), record


def _items_of(settings: Add) -> tuple[Catalogue | None, LogCut | None, list[str]]:
    """Names of the policy's items, the log it learned from, and what the user should know."""
    names, cut, notes = None, None, list[str]()
    if settings.log is not None:
        log = open_named_log(settings.log, (), None)
        cut = LogCut(
            name=settings.log.name, rows=len(log), sessions=log.n_sessions, hash=log.hash()
        )
        names = item_names(log) if "item" in log.names else None
    beside = items_beside([settings.folder], None)
    if settings.catalogue is not None:
        return Catalogue.from_file(settings.catalogue), cut, notes
    if names is not None:
        return Catalogue(names), cut, [f"the items are named as in {settings.log}"]
    if beside is not None:
        return Catalogue.from_file(beside), cut, [f"the items are named as in {beside}"]
    return None, cut, [
        'the items are named "0", "1" ... by their numbers: give --catalogue FILE for your own ids'
    ]  # fmt: skip


def _retrieval_of(text: str) -> str | NDArray[np.float32]:
    if text in SOURCES:
        return text
    if not Path(text).is_file():
        raise ValueError(f"--retrieval {text!r}: there are {', '.join(SOURCES)}, and .npy files")
    vectors: NDArray[np.float32] = np.load(text, allow_pickle=False)
    return vectors


def _list(registry: Registry) -> tuple[str, Any]:
    pointer, versions, damaged = registry.pointer(), registry.versions(), registry.damaged()
    record = {
        "damaged": damaged,
        "pointer": json.loads(pointer.to_json()),
        "versions": [one.to_dict() for one in versions],
    }
    lines = [version_lines(versions, pointer), *(f"damaged: {why}" for why in damaged.values())]
    return "\n".join(lines), record


def _show(registry: Registry, version: str) -> tuple[str, Any]:
    found = registry.find(version)
    changes = [one for one in registry.history() if found.version in (one.before, one.after)]
    text = f"{found.version}\n\n{about_version(found)}\n\n{change_lines(changes)}"
    return text, found.to_dict() | {"history": [json.loads(one.to_json()) for one in changes]}


def _promote(settings: Promote) -> tuple[str, Any]:
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


def _rollback(settings: Rollback) -> tuple[str, Any]:
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
