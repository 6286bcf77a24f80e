"""A registry: versions of policies in a folder, and one pointer to the one that serves.

versions/<version>/   policy/, items.json, golden.safetensors, version.json, evidence.json
pointer.json          which version is live, and which was before
history.jsonl         what was live when, who changed it, and why
secret                of keyed hashes and draws
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policies.saved import Savable
from serving.catalogue import Catalogue
from serving.contracts.fields import maybe, text
from serving.registry.adding import prepare, write_beside, write_contents, write_evidence
from serving.registry.changes import who
from serving.registry.durable import durable_folder, sweep_folder
from serving.registry.loading import Release, load_release
from serving.registry.pointing import Pointing, find_named
from serving.registry.secret import kept_secret, secret_of_environment
from serving.registry.versions import (
    Evidence,
    LogCut,
    Version,
    name_for,
    read_versions,
    verdicts_of,
    with_evidence,
)

F32 = NDArray[np.float32]
LIMIT = 2 << 30  # bytes


class Registry(Pointing):
    """Versions in `folder`, which the first `add` makes. Processes and threads wait for each other
    where they change it; a process that is killed leaves it as it was before or after its change.

    limit: bytes that a version may take, on disk and, measured when it was added, in memory while
        it is loaded. During a change of versions a server holds up to three of them, and in a
        rollout the canary and the shadow.
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
        super().__init__(Path(folder), clock)
        self.limit, self.kinds = limit, tuple(kinds)

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
                    write_evidence(fresh, evidence, given.sha256, report)
                    write_beside(fresh, beside or {})
            else:
                both = with_evidence(known.evidence, evidence)
                write_evidence(known.folder, both, given.sha256, report)
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
        """A version by its name, the beginning of it, `live`, `previous`, `canary` or `shadow`.

        Raises ValueError where there is no such version, or several.
        """
        return find_named(self._versions, version, self.pointer())

    def load(self, version: str = "live", *, warmed: bool = True, rest: float = 0.0) -> Release:
        """A version in memory: its size and hashes are checked, its golden requests compared, and
        batches of every size answered once, so that it can serve at full speed.

        rest: seconds of sleep for every second of that, for what serves beside it.

        Raises ValueError or OSError, which says what does not fit, for one that must not serve.
        """
        pointer = self.pointer()  # once: it may change
        found = find_named(self._versions, version, pointer)
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
        return kept_secret(self.folder, self._changing)
