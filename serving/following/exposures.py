"""Which users each arm was shown to, as soon as it was: for checks of the split."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Exposures:
    """Users of one stratum, by the arms that they met."""

    arms: dict[int, int] = field(default_factory=dict)  # user -> 1 control, 2 canary, 3 both
    canary: int = 0  # users of each arm; who met both counts in both
    control: int = 0
    both: int = 0

    def add(self, user: int, canary: bool) -> None:
        """A decision of a user's."""
        before, bit = self.arms.get(user, 0), 2 if canary else 1
        if before & bit:
            return
        self.arms[user] = before | bit
        self.canary += canary
        self.control += not canary
        self.both += before != 0

    @property
    def multiple(self) -> float | None:
        """Share of users that met both arms; None where nobody came."""
        return self.both / len(self.arms) if self.arms else None
