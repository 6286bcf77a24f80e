"""What a day was worth, by version, and the detector that watches the version that serves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.truth import mean
from offpolicy import LoggedDataset
from offpolicy.drift.watching import Outcomes, reference_of

F64 = NDArray[np.float64]
REFERENCE = 400  # sessions of a version that say what it is worth, before it is watched
TOLERANCE = 0.02  # smaller changes, as a share of the value, are not wanted
RUN_LENGTH = 20_000  # sessions to a false alarm, at least, on average


def values_by_version(log: LoggedDataset) -> dict[str, F64]:
    """Rewards (S,) of whole sessions by the version that served their first decision."""
    total = log.session_rewards()
    assert log.logger is not None
    first = log.logger[log.groups.first].astype(str)
    return {name: total[first == name] for name in np.unique(first).tolist()}


def bounds(values: F64, level: float) -> dict[str, Any]:
    """Mean reward of a session with its normal interval, None below two sessions, and how many."""
    none: dict[str, Any] = dict.fromkeys(("value", "low", "high"))
    known = none if len(values) < 2 else asdict(mean(values, level))
    return known | {"sessions": len(values)}


@dataclass(slots=True)
class Watched:
    """The version that serves, its value when it was new, and the detector of a fall. A user who
    comes back counts anew: visits of one are taken as independent."""

    version: str = ""
    reference: list[float] = field(default_factory=list)
    detector: Outcomes | None = None
    days: list[tuple[int, int]] = field(default_factory=list)  # day, values that were watched

    def see(
        self, day: int, version: str, by_version: dict[str, F64], *, same: bool = False
    ) -> tuple[int, str] | None:
        """Watch a day's sessions of the version that serves now; the day since whose midnight the
        users seem to have changed, the nearest one, and what was seen, where there is an alarm.
        What comes after an alarm is what the version is worth from then on.

        same: a new version is held to what the one before was worth.
        """
        if version != self.version and same:
            self.version = version
        if version != self.version:  # its sessions as a canary, earlier, are not kept
            self.version, self.reference, self.detector, self.days = version, [], None, []
        values = by_version.get(version, np.zeros(0))
        if self.detector is None:
            self.reference += values.tolist()
            if len(self.reference) >= REFERENCE:
                known = reference_of(np.array(self.reference), tolerance=TOLERANCE)
                self.detector = Outcomes.begin(known, run_length=RUN_LENGTH, direction="down")
            return None
        self.days.append((day, len(values)))
        self.detector, alarm = self.detector.update(values)
        if alarm is None:
            return None
        begins = np.cumsum([0, *(n for _, n in self.days)])
        nearest = int(np.abs(begins[:-1] - (alarm.since - 1)).argmin())
        since = self.days[nearest][0]
        self.reference, self.detector, self.days = [], None, []
        return since, str(alarm)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        detector = None if self.detector is None else self.detector.to_json()
        return {
            "version": self.version,
            "reference": self.reference,
            "detector": detector,
            "days": self.days,
        }

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Watched:
        """What `to_dict` wrote."""
        detector = None if found["detector"] is None else Outcomes.from_json(found["detector"])
        days = [(int(day), int(n)) for day, n in found["days"]]
        return cls(found["version"], found["reference"], detector, days)
