"""What an event log holds: read before a join, to say what can be joined."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from offpolicy.errors import LogError
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import OutcomeEvent
from serving.contracts.starts import Start
from serving.events.log import EventReader
from serving.joining.rule import Shape

TYPE = re.compile(rb'"type":"(\w+)"')
READ = {b"start", b"outcome_event"}


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts of an event log, and what was served when."""

    starts: tuple[Start, ...]  # by time
    kinds: Counter[str]  # outcomes by kind, as often as they were sent
    events: Counter[str]  # by type: decision, outcome_event, start, removed


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of a policy whose decisions are joined."""

    names: frozenset[str]
    sha256: frozenset[str]

    def have(self, decision: Decision) -> bool:
        """A fallback is of the release that it stood in for."""
        return decision.policy in self.names or decision.policy_sha256 in self.sha256


def survey(events: EventReader) -> Survey:
    """Read an event log once; of decisions nothing but their number."""
    starts: list[Start] = []
    kinds, types = Counter[str](), Counter[str]()
    for writer in events.writers():
        for entry in events.read(writer):
            match = TYPE.search(entry.event)
            types[match[1].decode() if match else "unknown"] += 1
            if match is None or match[1] not in READ:
                continue
            event = read_event(entry.event)
            if isinstance(event, Start):
                starts.append(event)
            elif isinstance(event, OutcomeEvent):
                kinds[event.kind] += 1
    return Survey(tuple(sorted(starts, key=lambda s: s.time)), kinds, types)


def shape_of(
    starts: Sequence[Start], policies: Collection[str] = ()
) -> tuple[Shape, Versions | None]:
    """The one shape of what was served, by the versions named or by all (None).

    Raises LogError where nothing says what was served, a version was not, or shapes differ: it
    tells which versions are of which.
    """
    if not starts:
        raise LogError(
            "the log has no event of type start, which says what was served: Engine.announce() "
            "writes one and a server does so by itself; in Python, join_log takes the Shape"
        )
    served = list(dict.fromkeys(version for start in starts for version in start.shown))
    unknown = [name for name in policies if name not in served]
    if unknown:
        raise LogError(f"{unknown[0]!r} was not served; the log has {', '.join(served)}")
    chosen = [start for start in starts if not policies or start.shown.keys() & set(policies)]
    shapes: dict[Shape, list[str]] = {}
    for start in chosen:
        of_it = shapes.setdefault(Shape.of_start(start), [])
        of_it += [version for version in start.shown if version not in of_it]
    if len(shapes) > 1:
        raise LogError(_differ(shapes))
    if not policies:
        return next(iter(shapes)), None
    shown = [pair for start in chosen for pair in start.shown.items()]
    sha256 = frozenset(sha256 for version, sha256 in shown if version in policies) - {""}
    return next(iter(shapes)), Versions(frozenset(policies), sha256)


def _differ(shapes: dict[Shape, list[str]]) -> str:
    names = [f.name for f in fields(Shape) if len({getattr(shape, f.name) for shape in shapes}) > 1]
    told = "; ".join(
        f"{', '.join(versions)} ({', '.join(_told(shape, name) for name in names)})"
        for shape, versions in shapes.items()
    )
    last = list(shapes.values())[-1]
    return (
        f"versions of different shapes were served: {told}. Join each shape by itself: --policy "
        f"{' '.join(last)}"
    )


def _told(shape: Shape, name: str) -> str:
    value = getattr(shape, name)
    if name == "item_names" and value is not None:
        return f"items from {value[0]!r} to {value[-1]!r}"
    return f"{name.replace('_', ' ')} {value}"
