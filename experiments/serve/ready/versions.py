"""What a registry shows of a version: loaded, compared, and rolled back in a copy."""

from __future__ import annotations

import shutil
import stat
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from experiments.serve.ready.line import Finding
from policies.base import act
from policies.slates.row_streams import RowStreams
from serving.answers import rules_of
from serving.registry.golden import TOLERANCE, check_golden
from serving.registry.loading import Release
from serving.registry.pointer import HISTORY, POINTER, Pointer
from serving.registry.pointing import VERSIONS
from serving.registry.registry import Registry
from serving.registry.secret import SECRET, VARIABLE, read_secret, secret_of_environment
from serving.registry.versions import GATE, ITEMS, Version

MB = 1_000_000
DRAWS = 64  # slates drawn for each golden request, to audit the rules


@dataclass(slots=True)
class Subject:
    """A version that is to be served, in its registry; versions are loaded once."""

    registry: Registry
    version: Version
    pointer: Pointer
    loaded: dict[str, Release] = field(default_factory=dict)

    def load(self, version: str) -> Release:
        """Raises ValueError or OSError for one that must not serve."""
        found = self.registry.find(version)
        if found.version not in self.loaded:
            self.loaded[found.version] = self.registry.load(found.version, warmed=False)
        return self.loaded[found.version]

    @property
    def before(self) -> str | None:
        """What a rollback of this version brings back."""
        is_live = self.version.version == self.pointer.live
        return self.pointer.previous if is_live else self.pointer.live


def subject_of(registry: Registry, name: str | None) -> Subject:
    """The version named; by default the canary, else the one that is live."""
    pointer = registry.pointer()
    wanted = name or ("canary" if pointer.canary else "live")
    return Subject(registry, registry.find(wanted), pointer)


def gate(s: Subject) -> Finding:
    """The gate's report is kept, and passed."""
    report, verdicts = s.version.folder / GATE, s.version.evidence.verdicts
    if verdicts is None or not report.is_file():
        return None, f"no gate report is kept beside version {s.version.version}"
    told = ", ".join(f"{name}: {verdict}" for name, verdict in verdicts.items())
    return all(v == "pass" for v in verdicts.values()), f"{report}: {told}"


def golden(s: Subject) -> Finding:
    """Golden requests are answered as they were when the version was added."""
    release = s.load(s.version.version)
    apart = check_golden(release.policy, release.golden)
    return True, (
        f"{len(release.golden.first_place)} golden requests, largest total variation {apart:.2g}, "
        f"{TOLERANCE:g} is allowed; every file has its hash"
    )


def rules(s: Subject) -> Finding:
    """Rules are in force: slates drawn for golden requests break none."""
    release = s.load(s.version.version)
    own, obs = rules_of(release.policy), release.golden.obs
    if not own:
        return None, "the policy is under no rules: nothing is enforced"
    rows = obs.rows(np.repeat(np.arange(len(obs)), DRAWS))
    slate = act(release.policy, rows, RowStreams(np.arange(len(rows), dtype=np.uint64))).slate
    broken = sum(int((rule.broken(rows, slate) > 0).sum()) for rule in own)
    names = ", ".join(rule.name for rule in own)
    return (
        not broken,
        f"{names}: {broken} breaches in {len(rows):,} slates drawn and counted afresh",
    )


def sizes(s: Subject) -> Finding:
    """Catalogue and sizes are those of the version that is served beside or before it."""
    if s.before is None:
        return True, "no other version was live: there is nothing to differ from"
    other, own = s.registry.find(s.before).contents, s.version.contents
    items = own.files[ITEMS]["sha256"] == other.files[ITEMS]["sha256"]
    changed = {k for k in own.serving if own.serving[k] != other.serving.get(k)}
    n, k = own.serving["n_items"], own.serving["slate_size"]
    if items and not changed:
        return True, f"as version {s.before}: {n:,} items, slates of {k}, the same names"
    what = sorted(changed) or ["the names of items"]
    return False, f"other than version {s.before}: {', '.join(what)}"


def memory(s: Subject) -> Finding:
    """The version, on disk and while it is loaded, is under the limit."""
    took, disk, most = s.version.evidence.load_bytes, s.version.contents.bytes, s.registry.limit
    told = f"{disk / MB:,.1f} MB on disk, limit {most / MB:,.0f} MB"
    if took is None:
        return None, f"{told}; its memory was not measured when it was added"
    told = f"{took / MB:,.1f} MB of memory while it was loaded, {told}"
    return max(took, disk) <= most, f"{told}; a change of versions holds up to three"


def rollback(s: Subject) -> Finding:
    """In a copy of the registry the version is promoted, rolled back, and the old one loads."""
    before = s.before
    if before is None:
        return False, "no version was live before it: there is nothing to roll back to"
    with tempfile.TemporaryDirectory(prefix="longplay-rehearsal-") as there:
        copy = Path(there) / "registry"
        (copy / VERSIONS).mkdir(parents=True)
        for name in {before, s.version.version}:
            real = (s.registry.folder / VERSIONS / name).resolve()
            (copy / VERSIONS / name).symlink_to(real, target_is_directory=True)
        for name in (POINTER, HISTORY):
            if (s.registry.folder / name).is_file():
                shutil.copyfile(s.registry.folder / name, copy / name)
        rehearsed = Registry(copy, limit=s.registry.limit, kinds=s.registry.kinds)
        if rehearsed.pointer().canary is not None:
            rehearsed.stop_canary(why="a rehearsal")
        if rehearsed.pointer().live != s.version.version:
            rehearsed.promote(s.version.version, why="a rehearsal")
        began = time.perf_counter()
        now = rehearsed.rollback(why="a rehearsal")
        took = time.perf_counter() - began
        if now.live != before:
            return False, f"in a copy the rollback made {now.live} live and not {before}"
        rehearsed.load("live", warmed=False)
    return True, (
        f"in a copy: {s.version.version} live, rolled back to {before} in {1e3 * took:.0f} ms, "
        "which loads and answers its golden requests"
    )


def secret(s: Subject) -> Finding:
    """Hashes and draws have a secret that others cannot read."""
    if secret_of_environment() is not None:
        return True, f"${VARIABLE} is set"
    file = s.registry.folder / SECRET
    if not file.is_file():
        return False, f"{file} is not there and ${VARIABLE} is not set"
    read_secret(s.registry.folder)
    return True, f"{file} has mode {stat.S_IMODE(file.stat().st_mode):04o}"


def fallback(s: Subject) -> Finding:
    """Items are named that may always be shown, and the version has them."""
    items = s.pointer.fallback
    if not items:
        return False, "no fallback items are named: the first items of the catalogue would be shown"
    missing = [name for name in items if name not in set(s.load(s.version.version).catalogue.names)]
    if missing:
        return False, f"{len(missing)} of {len(items)} fallback items are not in its catalogue"
    return True, f"{len(items)} items: {', '.join(items[:5])}{' ...' if len(items) > 5 else ''}"


def previous(s: Subject) -> Finding:
    """The version that a rollback brings back loads and answers its golden requests."""
    if s.before is None:
        return False, "there is no version before it"
    release = s.load(s.before)
    return True, f"version {s.before} loads; {len(release.golden.first_place)} golden requests hold"
