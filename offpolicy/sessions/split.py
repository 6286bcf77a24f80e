"""The difference between two policies' returns, split into staying and reward while there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.intervals.inference import Interval, check_level, quantile
from offpolicy.sessions.survival import Decomposition


class Split(NamedTuple):
    """Where the difference between two returns comes from; the parts add up to the whole."""

    total: Interval
    staying: Interval  # because users stay longer, or leave sooner
    reward: Interval  # because they are worth more, or less, while they are there


def split(one: Decomposition, other: Decomposition, *, level: float = 0.95) -> Split:
    """The return of `one` less that of `other`, split into staying and reward while there.

    At each step S1 m1 - S2 m2 = (S1 - S2)(m1 + m2)/2 + (m1 - m2)(S1 + S2)/2, the symmetric split
    (Kitagawa, 1955). Where one log never gets so far, its reward there is taken to be the other's.

    Intervals are of the grouped jackknife (Quenouille, 1956; Tukey, 1958): the split is made anew
    without each group of the users of both logs, Student's t with a degree of freedom less than
    groups. Logs that were collected under one seed have the same users in the same groups, and
    their common noise cancels; other logs are taken as independent. `units` counts groups.

    Raises:
        LogError: a decomposition does not hold what its log is without a group.
        ValueError: a level outside (0, 1).
    """
    check_level(level)
    if one.without is None or other.without is None:
        raise LogError("a decomposition without its groups has no intervals: make it of its log")
    whole = _parts(one.staying.value, one.reward.value, other.staying.value, other.reward.value)
    groups = min(len(one.without.staying), len(other.without.staying))
    if len(one.without.staying) != len(other.without.staying):
        raise LogError(
            f"the logs have {len(one.without.staying)} and {len(other.without.staying)} groups of "
            "users: give logs of at least 20 users each, or of equally many"
        )
    left_out = np.array(
        [
            _parts(
                one.without.staying[g], one.without.reward[g],
                other.without.staying[g], other.without.reward[g],
            )
            for g in range(groups)
        ]
    )  # fmt: skip
    square = ((left_out - left_out.mean(0)) ** 2).sum(0) * (groups - 1) / groups
    errors = np.sqrt(square)
    wide = quantile(0.5 + level / 2, groups - 1)
    return Split(
        *(
            Interval(value, value - wide * se, value + wide * se, se, level, groups)
            for value, se in zip(whole, errors.tolist(), strict=True)
        )
    )


def _parts(stay_1: F64, paid_1: F64, stay_2: F64, paid_2: F64) -> tuple[float, float, float]:
    """Whole, staying and reward."""
    n = max(len(stay_1), len(stay_2))
    stay_1, stay_2 = _padded(stay_1, n, 0.0), _padded(stay_2, n, 0.0)
    paid_1, paid_2 = _padded(paid_1, n, np.nan), _padded(paid_2, n, np.nan)
    known_1 = np.where(np.isnan(paid_1), np.nan_to_num(paid_2), paid_1)
    known_2 = np.where(np.isnan(paid_2), np.nan_to_num(paid_1), paid_2)
    staying = float(((stay_1 - stay_2) * (known_1 + known_2) / 2).sum())
    reward = float(((known_1 - known_2) * (stay_1 + stay_2) / 2).sum())
    return staying + reward, staying, reward


def _padded(x: F64, n: int, fill: float) -> F64:
    return np.concatenate([x, np.full(n - len(x), fill)])
