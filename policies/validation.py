"""What a setting may be; ValueError for anything else, NaN and infinity too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """Which finite numbers a setting may be, and how that is said of {name}."""

    allows: Callable[[Any], bool]
    says: str

    def check(self, name: str, value: object) -> None:
        """Raise ValueError unless the value is allowed."""
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and self.allows(value)):  # type: ignore[arg-type]
            raise ValueError(f"{name} is {value!r}; {self.says.format(name=name)}")

    def check_all(self, config: object, *names: str) -> None:
        """The same for fields of a config."""
        for name in names:
            self.check(name, getattr(config, name))


def whole(least: int) -> Rule:
    """Whole numbers from `least` on."""
    return Rule(
        lambda x: x >= least and isinstance(x, Integral),
        f"give a whole number, {{name}} >= {least}",
    )


COUNT = whole(1)
POSITIVE = Rule(lambda x: x > 0, "give a finite number above 0")
FROM_0 = Rule(lambda x: x >= 0, "give a finite number of at least 0")
FROM_1 = Rule(lambda x: x >= 1, "give a finite number of at least 1")
TEMPERATURE = Rule(
    lambda x: x >= 1e-9, "give a finite number of at least 1e-9, or None to show the best surely"
)
DISCOUNT = Rule(lambda x: 0 <= x <= 1, "a discount per decision lies in 0..1")
SHARE = Rule(lambda x: 0 <= x <= 1, "a share lies in 0..1: give 0.1 for one in ten")
SOME_SHARE = Rule(lambda x: 0 < x <= 1, "give a share above 0, at most 1")


def check_steps(total_steps: int, users: int, least: int, fix: str) -> None:
    """Raise ValueError where a call of `learn` would end before its first update.

    least: decisions that this update needs; they are taken in whole steps of all users.
    """
    if not 1 <= total_steps < math.inf:
        raise ValueError(f"total_steps is {total_steps}; learning takes at least 1 decision")
    if -(-total_steps // users) * users < least:
        raise ValueError(
            f"total_steps is {total_steps:,}: nothing would be learnt, since the first update "
            f"needs {least:,} decisions of this call. Take at least {least:,} in a call, or {fix}."
        )


def check_same_names(
    own: Sequence[str] | None, given: Sequence[str] | None, who: str = "the policy"
) -> None:
    """Raise ValueError where the names of items are known on both sides, and one differs."""
    pairs = enumerate(zip(own or (), given or (), strict=False))
    other = next((f"{i} is {a!r}, not {b!r}" for i, (a, b) in pairs if a != b), "")
    if other:
        raise ValueError(
            f"to {who} item {other}: its ids mean other items. Read the log, or the data, with the "
            "policy's own names (--items, item_names=)."
        )
