"""The signals of a service while it is played: which fires first, and after how many decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from experiments.faults.parts import Parts
from experiments.faults.readings import readings, slow_readings
from offpolicy import LoggedDataset
from serving.metrics.slis import Shown
from serving.metrics.text.watched import watched_slis
from serving.rollout.actions import Step
from serving.signals.alarms import Alarm, firing, firing_by_arm
from serving.signals.rules import BURNS

LOOK = 3600.0  # s between two looks
SLOW = 6  # looks between two joins of the log
Slis = Mapping[str, Shown]


class Hearing:
    """Looks at everything that would tell somebody, now and then, and remembers what it told first.

    before: the indicators of a day ago, by the number of the look in the day; none for the day that
        is the reference itself.
    reference: the joined log of that day.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        before: list[Slis] | None = None,
        slow_before: Slis | None = None,
        reference: LoggedDataset | None = None,
    ) -> None:
        self.parts, self.before, self.slow_before = parts, before or [], slow_before
        self.reference = reference
        self.kept: list[Slis] = []  # indicators of each look, for the day after
        self.fired: dict[str, int] = {}  # decisions at which a signal fired first
        self.steps: list[dict[str, Any]] = []  # of the controller, where something changed
        self.slow: Slis = {}
        self._next, self._nth, self._known = parts.clock.now + LOOK, 0, Counter[str]()

    def __call__(self, now: float) -> None:
        """Between two moments of a day."""
        if now < self._next:
            return
        self._next += LOOK
        self.look(slow=self._nth % SLOW == SLOW - 1)
        self._nth += 1

    def look(self, *, slow: bool) -> None:
        """Look now; slow: also join the log, and read what only that tells."""
        parts = self.parts
        self._controller()
        slis = parts.metrics.slis()
        self.kept.append(slis)
        before = self.before[self._nth % len(self.before)] if self.before else None
        told = firing(slis, before=before) + firing_by_arm({}, parts.metrics.arms())
        told += firing(watched_slis(readings(parts)))
        if slow:
            found, counts = slow_readings(parts, self.reference)
            watched = watched_slis(found)
            told += firing(watched, before=self.slow_before)
            self.slow = watched
            for name, n in counts.items():
                if n > self._known[name]:
                    self._tell(f"count: {name}")
                self._known[name] = n
        for alarm in told:
            self._tell(named(alarm))
        for part in parts.engine.failing:
            self._tell(f"engine: {part} failed")

    def _controller(self) -> None:
        step = self.parts.controller.look()
        self.parts.watcher.check()
        if step is None:
            return
        state = step.state
        said = {"phase": state.phase, "weight": state.weight, "reason": step.reason}
        kind = kind_of(step)
        if kind is not None:
            self._tell(f"rollout: {kind}")
        if not self.steps or any(self.steps[-1][k] != said[k] for k in ("phase", "weight")):
            self.steps.append(said | {"time": self.parts.clock.now, "n": self.parts.decisions})

    def _tell(self, key: str) -> None:
        self.fired.setdefault(key, self.parts.decisions)


def named(alarm: Alarm) -> str:
    """An alarm of a budget that burns, whatever its speed, has one name."""
    for burn in BURNS:
        if alarm.name.endswith(burn.suffix):
            return alarm.name.removesuffix(burn.suffix)
    return alarm.name


def kind_of(step: Step) -> str | None:
    """What a step of the controller tells a person; None: nothing is wrong."""
    phase, reason = step.state.phase, step.reason
    if phase == "rolled_back":
        for kind in ("hard stop", "soft stop"):
            if kind in reason:
                return kind
        return "rolled back"
    if phase in ("paused", "held"):
        return phase
    return "no data" if "no data" in reason else None
