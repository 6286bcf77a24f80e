"""A saved policy on its way into a registry: loaded, tried and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.observation import sizes
from policies.saved import Savable
from policies.saving.folders import load
from serving.catalogue import Catalogue
from serving.registry.durable import write_durably
from serving.registry.golden import Golden, make_golden, write_golden
from serving.registry.memory import with_peak
from serving.registry.retrieving import build_retrieval, declare, write_vectors
from serving.registry.versions import (
    CONTENTS,
    EVIDENCE,
    GATE,
    GOLDEN,
    ITEMS,
    POLICY,
    VECTORS,
    Contents,
    Evidence,
    content_hash,
    copy_files,
    files_of,
    policy_files,
    policy_name,
    to_json,
)

F32 = NDArray[np.float32]
MB = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A policy that works, and all that its version will hold."""

    source: Path
    files: Mapping[str, Mapping[str, Any]]  # of the policy, as they were when it was loaded
    serving: Mapping[str, Any]
    catalogue: Catalogue
    retrieval: Mapping[str, Any] | None
    vectors: F32 | None  # of the retrieval, where they are not the policy's
    golden: Golden
    load_bytes: int | None
    sha256: str  # of what decides its answers


def prepare(
    source: Path,
    *,
    catalogue: Catalogue | None,
    retrieval: str | F32,
    kinds: Sequence[type[Savable]],
    limit: int,
) -> Prepared:
    """Load a saved policy and try it; `Registry.add` says what it takes and raises."""
    files = files_of(source, policy_files(source))
    check_size(source, sum(int(one["bytes"]) for one in files.values()), None, limit)
    policy, load_bytes = with_peak(lambda: load(source, kinds=kinds))
    check_size(source, 0, load_bytes, limit)
    n_items = policy.serving.n_items
    names = Catalogue(map(str, range(n_items))) if catalogue is None else catalogue
    if len(names) != n_items:
        raise ValueError(
            f"the catalogue names {len(names)} items and {source} chooses among {n_items}: give "
            "each of the policy's items its name, in the order of their numbers"
        )
    declared = declare(policy, retrieval)
    own = None if isinstance(retrieval, str) else np.ascontiguousarray(retrieval, np.float32)
    golden = make_golden(policy, build_retrieval(declared, policy, own))
    vectors = "" if own is None else hashlib.sha256(own.tobytes()).hexdigest()
    return Prepared(
        source=source,
        files=files,
        serving=sizes(policy.serving),
        catalogue=names,
        retrieval=declared,
        vectors=own,
        golden=golden,
        load_bytes=load_bytes,
        sha256=content_hash(files, names.names, declared, vectors),
    )


def write_contents(given: Prepared, folder: Path) -> None:
    """Fill the folder of a version. Raises ValueError where the policy's files changed since."""
    names = [Path(name) for name in given.files]
    copy_files(given.source, folder / POLICY, names)
    if files_of(folder / POLICY, names) != given.files:
        raise ValueError(f"{given.source} changed while it was added: add it again")
    (folder / ITEMS).write_text(json.dumps(given.catalogue.names), encoding="utf-8")
    write_golden(given.golden, folder / GOLDEN)
    if given.vectors is not None:
        write_vectors(folder, given.vectors)
    kept = [Path(POLICY) / name for name in names]
    kept += [Path(name) for name in (ITEMS, GOLDEN, VECTORS) if (folder / name).is_file()]
    contents = Contents(
        sha256=given.sha256,
        policy=policy_name(folder / POLICY),
        serving=given.serving,
        retrieval=given.retrieval,
        files=files_of(folder, kept),
    )
    (folder / CONTENTS).write_text(to_json(contents, given.sha256))


def write_evidence(folder: Path, evidence: Evidence, sha256: str, report: bytes | None) -> None:
    """Keep what is known of a version of that sha256, and the gate's report if there is one."""
    if report is not None:
        write_durably(folder / GATE, report)
    write_durably(folder / EVIDENCE, to_json(evidence, sha256).encode())


def write_beside(folder: Path, beside: Mapping[str, bytes]) -> None:
    """Keep files that the version has not: what was said of it first stands."""
    for name, content in beside.items():
        if not (folder / name).exists():
            write_durably(folder / name, content)


def check_size(what: Path, on_disk: int, in_memory: int | None, limit: int) -> None:
    """Raise ValueError, with the sizes and the fix, for what takes more bytes than the limit."""
    most = max(on_disk, in_memory or 0)
    if most > limit:
        where = "on disk" if most == on_disk else "of memory while it is loaded"
        raise ValueError(
            f"{what} takes {most / MB:,.1f} MB {where}; the limit is {limit / MB:,.1f} MB. Learn "
            "a smaller one (fewer features, a smaller state), or raise the limit: --limit-mb "
            f"{-(-most // MB)}, Registry(limit=...)"
        )
