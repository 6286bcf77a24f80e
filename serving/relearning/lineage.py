"""Where a version comes from: its parent, the cut and the settings it learned by, and its gate."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from serving.registry.registry import Registry
from serving.registry.versions import Version
from serving.relearning.cut import Cut

I64 = NDArray[np.int64]
LINEAGE, SEEN = "lineage.json", "taught.npy"  # in the folder of a version
Unit = Literal["user", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """How a version was made, so that it can be made again."""

    parent: str | None  # the version that it was judged against, and that it steps from
    cut: Cut
    learner: str
    settings: Mapping[str, Any]
    step: bool
    kind: str  # of the path, where it steps
    share: float | None  # of the way to what was learnt; None where it does not step
    seed: int  # of the learner
    split: tuple[float, float]  # of the units: what taught, what judged
    split_seed: int
    unit: Unit  # what never stands on both sides
    taught: int  # units
    judged: int
    code: str
    verdict: str  # of the gate
    reason: str
    trigger: str | None  # why it was learnt

    def to_json(self) -> bytes:
        held = asdict(self) | {"cut": json.loads(self.cut.to_json())}
        return json.dumps(held, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, body: bytes) -> Lineage:
        """Raises ValueError for what is no lineage."""
        try:
            held = json.loads(body)
            split = float(held["split"][0]), float(held["split"][1])
            return cls(**held | {"cut": Cut.from_json(held["cut"]), "split": split})
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise ValueError(f"no lineage of a version ({error})") from None


def files_of(lineage: Lineage, seen: I64) -> dict[str, bytes]:
    """What a version keeps of where it comes from, by file."""
    content = io.BytesIO()
    np.save(content, seen, allow_pickle=False)
    return {LINEAGE: lineage.to_json(), SEEN: content.getvalue()}


def lineage_of(version: Version) -> Lineage | None:
    """None for a version that was added by hand. Raises ValueError for a damaged file."""
    file = version.folder / LINEAGE
    if not file.is_file():
        return None
    try:
        return Lineage.from_json(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def seen_by(version: Version) -> I64:
    """(S,) units that taught it or one of its ancestors, increasing; none where it is not known."""
    file = version.folder / SEEN
    if not file.is_file():
        return np.zeros(0, np.int64)
    found: I64 = np.load(file, allow_pickle=False)
    return found


def unit_of(log: LoggedDataset) -> Unit:
    """What is independent in a log."""
    return "session" if log.user is None else "user"


def ancestry(registry: Registry, version: str) -> list[tuple[str, Lineage | None]]:
    """A version, its parent, and so on to the first, which was added by hand or is gone.

    Raises ValueError where there is no such version.
    """
    found: list[tuple[str, Lineage | None]] = []
    there = {one.version: one for one in registry.versions()}
    name: str | None = registry.find(version).version
    while name is not None and name not in [one for one, _ in found]:
        lineage = lineage_of(there[name]) if name in there else None
        found.append((name, lineage))
        name = None if lineage is None else lineage.parent
    return found
