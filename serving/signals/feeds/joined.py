"""What a join says of the last day, as readings: sessions' worth and length, returns, histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from offpolicy.trials.means import session_mean
from offpolicy.trials.units import units_of
from serving.arms import LIVE
from serving.joining.join import Joined
from serving.metrics.estimates import Estimate, share
from serving.metrics.text.watched import Reading, Readings

DAY = 86_400.0  # s
REWARD, LENGTH = "reward", "decisions"


class _Session(NamedTuple):
    begins: float  # s
    user: int
    arm: str  # at its first decision
    version: str  # of the policy that drew last; "" = the fallback alone
    decisions: int
    reward: float
    skewed: int  # decisions whose history is not the one that the log derives
    derived: int  # decisions of which the log derives one


class JoinedDays:
    """The sessions of the last two days: give it each part of a join (`join_log(each=...)`), in any
    order and however often."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}
        self._end = -np.inf

    def add(self, part: Joined) -> None:
        """Take in the sessions of a part."""
        log = part.log
        if log is None:
            return
        columns = (part.skewed, ~part.incomplete, log.reward)
        sums = np.stack([np.bincount(log.sessions, x, log.n_sessions) for x in columns], axis=1)
        version: dict[int, str] = {}
        for at, one in zip(log.sessions.tolist(), part.decisions, strict=True):
            if one.fallback is None:
                version[at] = one.policy
        sizes = np.bincount(log.sessions, minlength=log.n_sessions)
        for at, first in enumerate(log.groups.first.tolist()):
            one, (skewed, derived, reward) = part.decisions[first], sums[at].tolist()
            self._sessions[int(log.session[first])] = _Session(
                one.time, int(log.unit[first]), one.arm, version.get(at, ""), int(sizes[at]),
                reward, int(skewed), int(derived),
            )  # fmt: skip
        self._end = max(self._end, *(one.time for one in part.decisions))
        kept = self._end - 2 * DAY
        self._sessions = {k: v for k, v in self._sessions.items() if v.begins > kept}

    def readings(self) -> Readings:
        """Of the sessions that began within a day before the last decision, by arm; and the share
        of the users of the day before who began one of them. What the log does not hold is None.

        Reward a session is read of the arm `live` alone: of a rollout's arms the watch says it.
        """
        last = [one for one in self._sessions.values() if one.begins > self._end - DAY]
        found: dict[tuple[str, str], Reading] = {
            ("longplay_history_mismatch", ""): share(
                sum(one.skewed for one in last), sum(one.derived for one in last)
            )
        }
        for arm in sorted({one.arm for one in last}):
            own = [one for one in last if one.arm == arm]
            found["longplay_session_length", arm] = _mean(own, LENGTH)
            if arm == LIVE:
                found["longplay_session_reward", arm] = _mean(own, REWARD)
        return found | self._returns({one.user for one in last})

    def versions(self) -> dict[str, str]:
        """By arm: the one that served it last."""
        every = sorted(self._sessions.values(), key=lambda one: one.begins)
        return {one.arm: one.version for one in every if one.version}

    def _returns(self, back: set[int]) -> dict[tuple[str, str], Reading]:
        """By the arm in which a user was first, a day before; back: users of the last day."""
        before = [one for one in self._sessions.values() if one.begins <= self._end - DAY]
        arms: dict[int, str] = {}
        for one in sorted(before, key=lambda one: one.begins):
            arms.setdefault(one.user, one.arm)
        users = {arm: [u for u, own in arms.items() if own == arm] for arm in {*arms.values()}}
        return {
            ("longplay_return", arm): share(len(back.intersection(own)), len(own))
            for arm, own in sorted(users.items())
        }


def _mean(sessions: Sequence[_Session], name: str) -> Estimate | None:
    """With whole users as units."""
    n = len(sessions)
    values = np.array([(one.reward, one.decisions) for one in sessions], np.float64)
    users = np.array([one.user for one in sessions], np.int64)
    none = np.zeros(n, np.int64)
    units = units_of(users, none > 0, none, values, (REWARD, LENGTH), sessions=np.ones(n))
    mean = session_mean(units, name)
    return None if mean is None else Estimate(mean.value, mean.units, mean.low, mean.high)
