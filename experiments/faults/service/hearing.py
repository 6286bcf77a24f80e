"""The signals of a service while it is played: which fires first, and after how many decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import readings, slow_readings
from offpolicy import LoggedDataset
from serving.metrics.slis import Shown
from serving.metrics.text.watched import watched_slis
from serving.rollout.actions import Step
from serving.signals.alarms import Alarm, firing, firing_by_arm
from serving.signals.rules import BURNS

LOOK = 3600.0  # s between two looks
FILLED = 3 * LOOK  # s after which the metrics' windows are full
RESTARTS = 1800.0  # s of the rule of that alarm
SLOW = 6  # hours between two joins of the log
Slis = Mapping[str, Shown]


class Hearing:
    """Looks at everything that would tell somebody, now and then, and remembers what it told first.

    before: the indicators of a day ago, by the hour; none for the day that is the reference itself.
    reference: the joined log of that day.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        before: dict[int, Slis] | None = None,
        slow_before: Slis | None = None,
        reference: LoggedDataset | None = None,
    ) -> None:
        self.parts, self.before, self.slow_before = parts, before or {}, slow_before
        self.reference = reference
        self.kept: dict[int, Slis] = {}  # indicators by the hour, for the day after
        self.fired: dict[str, int] = {}  # decisions at which a signal fired first
        self.steps: list[dict[str, Any]] = []  # of the controller, where something changed
        self.slow: Slis = {}
        self._next = parts.clock.now + FILLED
        self._known = Counter[str]()

    def __call__(self, now: float) -> None:
        """Between two moments of a day."""
        self.listen(now)

    def listen(self, now: float) -> bool:
        """The same; whether the log was joined."""
        if sum(began > now - RESTARTS for began in self.parts.starts[1:]) > 1:
            self._tell("LongplayRestarts")  # as its rule counts changes of process_start_time
        if now < self._next:
            return False
        self._next += LOOK
        joins = hour_of(now) % SLOW == 0
        self.look(slow=joins)
        return joins

    def look(self, *, slow: bool = False) -> None:
        """At the service and at the rollout; slow: at the log, too."""
        parts, hour = self.parts, hour_of(self.parts.real)
        self._controller()
        slis = self.kept[hour] = parts.metrics.slis()
        told = firing(slis, before=self.before.get(hour))
        told += firing_by_arm({}, parts.metrics.arms())
        told += firing(watched_slis(readings(parts)))
        self._tell_all(told)
        for part in parts.engine.failing:
            self._tell(f"engine: {part} failed")
        if slow:
            self.look_at_log()

    def look_at_log(self) -> None:
        """Join it, and read what only that tells."""
        found, counts = slow_readings(self.parts, self.reference)
        self.slow = watched_slis(found)
        self._tell_all(firing(self.slow, before=self.slow_before))
        for name, n in counts.items():
            if n > self._known[name]:
                self._tell(f"count: {name}")
            self._known[name] = n

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

    def _tell_all(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            self._tell(named(alarm))

    def _tell(self, key: str) -> None:
        self.fired.setdefault(key, self.parts.decisions)


def hour_of(now: float) -> int:
    """Of the day."""
    return round(now / LOOK) % 24


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
