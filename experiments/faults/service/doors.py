"""A fault between callers and the service: something that stands before its door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.faults.service.parts import Parts
from experiments.live.users.players import Door
from serving import Outcome, Request


@dataclass(frozen=True, slots=True)
class Behind:
    """The door as it was."""

    names: Sequence[str]
    response_names: Sequence[str]
    at: Callable[[float], None]
    decide: Callable[[Sequence[Request]], Sequence[Any]]
    report: Callable[[Sequence[Outcome]], None]


@dataclass(slots=True)
class Before:
    """What stands before a door, changes something from `since` (s) on, and passes on the rest."""

    door: Door
    since: float
    now: float = field(default=0.0, kw_only=True)

    @property
    def names(self) -> Sequence[str]:
        return self.door.names

    @property
    def response_names(self) -> Sequence[str]:
        return self.door.response_names

    def at(self, now: float) -> None:
        self.now = now
        self.door.at(now)

    def decide(self, requests: Sequence[Request]) -> Sequence[Any]:
        return self.door.decide(requests)

    def report(self, outcomes: Sequence[Outcome]) -> None:
        self.door.report(outcomes)


def stand_before(parts: Parts, make: Callable[[Door], Door]) -> None:
    """From now on callers come to the door that is made of the service's own."""
    behind = Behind(parts.names, parts.response_names, parts.at, parts.decide, parts.report)
    door = make(behind)
    parts.at = door.at  # type: ignore[method-assign]
    parts.decide = door.decide  # type: ignore[assignment,method-assign]
    parts.report = door.report  # type: ignore[method-assign]
