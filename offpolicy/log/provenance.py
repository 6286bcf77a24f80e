"""What a reader did to a table before it was a log, where that limits what the log can say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Each is false for a log that came as it is."""

    single_decisions: bool = False  # the table named no sessions: each row is one decision
    reordered: bool = False  # the rows no longer stand in the order in which they were logged
    inferred_items: bool = False  # the catalogue ends at the largest id seen, for want of its size

    def true(self) -> dict[str, bool]:
        """Those that hold, by name."""
        return {f.name: True for f in fields(self) if getattr(self, f.name)}


def joint(several: Iterable[Provenance]) -> Provenance:
    """Of logs put together: what holds of one of them holds of all."""
    held: dict[str, bool] = {}
    for one in several:
        held |= one.true()
    return Provenance(**held)
