"""What a fault is: how it is injected, and which signals ought to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.faults.service.parts import Parts

Inject = Callable[[Parts], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a service breaks.

    inject: changes the parts of a running service, once, from that moment on; draws from
        `parts.rng` alone.
    prepare: changes them before the day begins, where a fault is of what is rolled out.
    seen_by: signals of which any one counts as detection: alarms of the table, `rollout: ...` of
        the controller, `count: ...` of the join and the engine.
    unseen: why nothing sees it, where nothing does.
    days: that are played from the moment on, at most.
    """

    name: str  # short, as a file's name
    title: str
    stands_for: str
    inject: Inject
    seen_by: tuple[str, ...] = ()
    unseen: str = ""
    prepare: Inject | None = None
    days: int = 1

    def detection(self, fired: dict[str, int]) -> int | None:
        """Decisions from the fault to the first signal that ought to see it; None: none did."""
        return min((n for key, n in fired.items() if key in self.seen_by), default=None)


def nothing(parts: Parts) -> None:
    """A clean day."""


def described(fault: Fault) -> dict[str, Any]:
    """For JSON."""
    return {name: getattr(fault, name) for name in ("name", "title", "stands_for", "unseen")} | {
        "seen_by": list(fault.seen_by)
    }
