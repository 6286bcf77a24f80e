"""A registry: versions of policies in a folder, and one pointer to the one that serves.

versions/<version>/   policy/, items.json, golden.safetensors, version.json, evidence.json
pointer.json          which version is live, and which was before
history.jsonl         what was live when, who changed it, and why
secret                of keyed hashes and draws
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offpolicy.storage.claims import held
from policies.saved import Savable
from serving.catalogue import Catalogue
from serving.contracts.fields import maybe, text
from serving.offers import fallback_pool
from serving.registry.adding import prepare, write_beside, write_contents, write_evidence
from serving.registry.changes import promoted, rolled_back, signed, who
from serving.registry.durable import durable_folder, sweep_folder
from serving.registry.loading import Release, load_release
from serving.registry.lookup import find_version, name_for, read_versions
from serving.registry.pointer import (
    Change,
    Pointer,
    next_revision,
    read_history,
    read_pointer,
    write_pointer,
)
from serving.registry.secret import make_secret, read_secret, secret_of_environment
from serving.registry.versions import (
    ITEMS,
    Evidence,
    LogCut,
    Version,
    read_version,
    verdicts_of,
    verify,
    with_evidence,
)

F32 = NDArray[np.float32]
VERSIONS = "versions"
LIMIT = 2 << 30  # bytes


class Registry:
    """Versions in `folder`, which the first `add` makes. Processes and threads wait for each other
    where they change it; a process that is killed leaves it as it was before or after its change.

    limit: bytes that a version may take, on disk and, measured when it was added, in memory while
        it is loaded. During a change of versions a server holds up to three of them.
    kinds: classes of your own that saved policies consist of; `policies.load` says more.
    clock: seconds since 1970.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        limit: int = LIMIT,
        kinds: Sequence[type[Savable]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.limit, self.kinds, self.clock = Path(folder), limit, tuple(kinds), clock

    def add(
        self,
        policy_folder: str | os.PathLike[str],
        *,
        catalogue: Catalogue | None = None,
        retrieval: str | F32 = "auto",
        note: str | None = None,
        by: str | None = None,
        gate: str | os.PathLike[str] | None = None,
        log: LogCut | None = None,
        beside: Mapping[str, bytes] | None = None,
    ) -> str:
        """Copy what `policies.save` wrote into the registry, and return its version. The same
        content has one version, however often it is added; what is known of it is brought up to
        date.

        catalogue: the caller's names of the policy's items, in their order; "0", "1" ... if None.
        retrieval: `auto`, `encoder`, `features`, `none`, or item vectors (A, D).
        gate: a report of `longplay gate --out`. log: what the policy learned from. beside: files
            of the version's folder, by name, which are kept as they were when it was first added.

        Raises ValueError or OSError, with the fix, for a policy that does not load, that the
        catalogue does not fit, or that is too large; then the registry is as it was.
        """
        given = prepare(
            Path(policy_folder),
            catalogue=catalogue,
            retrieval=retrieval,
            kinds=self.kinds,
            limit=self.limit,
        )
        evidence = Evidence(
            added=self.clock(),
            by=who(by),
            note=maybe(text)("note", note),
            log=log,
            verdicts=None if gate is None else verdicts_of(Path(gate)),
            load_bytes=given.load_bytes,
        )
        report = None if gate is None else Path(gate).read_bytes()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._changing():
            self._versions.mkdir(exist_ok=True)
            sweep_folder(self._versions)
            version, known = name_for(self._versions, given.sha256)
            if known is None:
                with durable_folder(self._versions / version) as fresh:
                    write_contents(given, fresh)
                    write_evidence(fresh, evidence, report)
                    write_beside(fresh, beside or {})
            else:
                both = with_evidence(known.evidence, evidence)
                write_evidence(known.folder, both, report)
                write_beside(known.folder, beside or {})
        return version

    def versions(self) -> list[Version]:
        """All versions that can be read, in the order in which they were added."""
        self._check_there()
        every, _ = read_versions(self._versions)
        return sorted(every, key=lambda one: (one.evidence.added, one.version))

    def damaged(self) -> dict[str, str]:
        """What is wrong, and the fix, with versions that cannot be read; of those that can be,
        `load` and `promote` look at every byte."""
        self._check_there()
        return read_versions(self._versions)[1]

    def find(self, version: str) -> Version:
        """A version by its name, the beginning of it, `live` or `previous`.

        Raises ValueError where there is no such version, or several.
        """
        return self._found(version, self.pointer())

    def _found(self, version: str, pointer: Pointer) -> Version:
        if version in ("live", "previous"):
            named = pointer.live if version == "live" else pointer.previous
            if named is None:
                raise ValueError(
                    f"{self.folder} has no {version} version: "
                    f"longplay release promote VERSION --registry {self.folder}"
                )
            return read_version(self._versions / named)
        return find_version(self._versions, version)

    def pointer(self) -> Pointer:
        """Raises FileNotFoundError where there is no registry, ValueError for a damaged pointer."""
        self._check_there()
        return read_pointer(self.folder)

    def history(self) -> list[Change]:
        """What was live when, the oldest change first."""
        self._check_there()
        return read_history(self.folder)

    def promote(
        self,
        version: str,
        *,
        by: str | None = None,
        why: str | None = None,
        fallback: Sequence[str] | None = None,
    ) -> Pointer:
        """Make a version live; what was live is then `previous`. Servers that watch the registry
        follow.

        fallback: the items that may always be shown, from now on; as before if None.

        Raises ValueError for a version that is not there or damaged, or items that do not fit it.
        """
        self._check_there()
        with self._changing():
            now = self.pointer()
            found = self._found(version, now)
            verify(found)
            items = now.fallback if fallback is None else tuple(fallback)
            fallback_pool(found.contents.sizes, Catalogue.from_file(found.folder / ITEMS), items)
            if (found.version, items) == (now.live, now.fallback):
                return now
            action = "fallback" if found.version == now.live else "promote"
            return self._write(now, promoted(now, found.version, items), action, by, why)

    def rollback(self, *, by: str | None = None, why: str | None = None) -> Pointer:
        """Make the version live that was before. Its files are not looked at: servers that served
        it have it in memory. A second rollback is refused, so that two people who roll back at once
        do not undo each other's.

        Raises ValueError where there is nothing to go back to.
        """
        self._check_there()
        with self._changing():
            now = self.pointer()
            return self._write(now, rolled_back(now), "rollback", by, why)

    def load(self, version: str = "live", *, warmed: bool = True, rest: float = 0.0) -> Release:
        """A version in memory: its size and hashes are checked, its golden requests compared, and
        batches of every size answered once, so that it can serve at full speed.

        rest: seconds of sleep for every second of that, for what serves beside it.

        Raises ValueError or OSError, which says what does not fit, for one that must not serve.
        """
        pointer = self.pointer()  # once: it may change
        found = self._found(version, pointer)
        return load_release(
            found,
            pointer.fallback,
            kinds=self.kinds,
            limit=self.limit,
            warmed=warmed,
            rest=rest,
        )

    def secret(self) -> bytes:
        """LONGPLAY_SECRET of the environment, else 32 random bytes that are made once and that only
        the owner of the registry can read."""
        given = secret_of_environment()
        if given is not None:
            return given
        self._check_there()
        try:
            return read_secret(self.folder)
        except FileNotFoundError:
            pass
        with self._changing():
            try:
                return read_secret(self.folder)  # another process was first
            except FileNotFoundError:
                return make_secret(self.folder)

    @property
    def _versions(self) -> Path:
        return self.folder / VERSIONS

    def _check_there(self) -> None:
        if not self._versions.is_dir():
            raise FileNotFoundError(
                f"{self.folder} is no registry: longplay release add POLICY --registry "
                f"{self.folder} makes one"
            )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Nobody else changes the registry meanwhile."""
        with held(self.folder, wait=True) as alone:
            if not alone:
                raise OSError(f"{self.folder} cannot be locked: its file system knows no locks")
            yield

    def _write(
        self, now: Pointer, then: Pointer, action: str, by: str | None, why: str | None
    ) -> Pointer:
        then = signed(
            now,
            then,
            action,
            revision=next_revision(self.folder, now),
            time=self.clock(),
            by=by,
            why=why,
        )
        write_pointer(self.folder, then)
        return then
