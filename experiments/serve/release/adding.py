"""`longplay release add`: a saved policy becomes a version."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from experiments.common.building import is_saved, load_saved
from experiments.logs.item_names import item_names, items_beside, open_named_log
from experiments.serve.release.pointing import Promote, promote
from experiments.serve.release.text import about_version
from policies import build, save, serving_of_log
from policies.saving.checkpoint import saved_in
from serving import Catalogue, Registry
from serving.registry.registry import LIMIT
from serving.registry.retrieving import SOURCES
from serving.registry.versions import LogCut

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Copy a saved policy into a registry, as a version that its content names."""

    folder: tyro.conf.Positional[Path]
    """A folder that policies.save, longplay train-policy or longplay improve wrote; a policy of
    your own, mymodule:my_policy, with the --log that says its sizes; or the zip of a stock agent,
    with --log and --trust."""
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


def add(settings: Add) -> tuple[str, Any]:
    """Add it, and say what it is."""
    registry = Registry(settings.registry, limit=int(settings.limit_mb * MB))
    if settings.fallback and not settings.promote:
        raise ValueError("--fallback goes with --promote: items belong to what is live")
    with ExitStack() as held:
        settings = replace(settings, folder=_saved(settings, held))
        return _added(settings, registry)


def _saved(settings: Add, held: ExitStack) -> Path:
    """The folder of the policy: the one that is named, or one that is written for the copy.

    Raises ValueError for a policy of one's own without a log, and for one that cannot be saved.
    """
    source = str(settings.folder)
    if settings.folder.is_dir() or not (":" in source or settings.folder.suffix == ".zip"):
        return saved_in(settings.folder)
    if settings.log is None:
        raise ValueError(f"{source}: say what it serves, --log LOG: sizes and items are the log's")
    sizes = serving_of_log(open_named_log(settings.log, (), None))
    policy = load_saved(source, sizes) if is_saved(source) else build(source, sizes)
    folder = Path(held.enter_context(TemporaryDirectory())) / "policy"
    save(policy, folder)
    return folder


def _added(settings: Add, registry: Registry) -> tuple[str, Any]:
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
        text, pointer = promote(given)
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
        if not isinstance(beside, str):
            return Catalogue(beside.names), cut, ["the items are named as the policy names them"]
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
