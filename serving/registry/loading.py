"""A version in memory: loaded, checked and warm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.base import Policy
from policies.saved import Savable
from policies.saving.folders import load
from serving.catalogue import Catalogue
from serving.registry.adding import check_size
from serving.registry.golden import Golden, check_golden, read_golden, warm
from serving.registry.retrieving import build_retrieval, read_vectors
from serving.registry.versions import GOLDEN, ITEMS, POLICY, Version, verify
from serving.retrieval import Retrieval


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A version that was loaded and checked."""

    version: str
    sha256: str  # of all that decides its answers
    policy: Policy
    catalogue: Catalogue
    retrieval: Retrieval | None
    fallback: tuple[str, ...]  # items that may always be shown
    golden: Golden


def load_release(
    version: Version,
    fallback: tuple[str, ...],
    *,
    kinds: Sequence[type[Savable]],
    limit: int,
    warmed: bool,
    rest: float,
) -> Release:
    """`Registry.load` says what is checked."""
    contents, folder = version.contents, version.folder
    check_size(folder, contents.bytes, version.evidence.load_bytes, limit)
    verify(version)
    policy = load(folder / POLICY, kinds=kinds)
    catalogue = Catalogue.from_file(folder / ITEMS)
    retrieval = build_retrieval(contents.retrieval, policy, read_vectors(folder))
    golden = read_golden(folder / GOLDEN)
    check_golden(policy, golden)
    if warmed:
        warm(policy, retrieval, golden, rest=rest)
    return Release(version.version, contents.sha256, policy, catalogue, retrieval, fallback, golden)
