"""What the event log says of a rollout: read on as it grows, summed by user, stage and arm."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from offpolicy.trials.exposure import sample_ratio
from offpolicy.trials.units import TrialUnits
from policies.rules.constraints import Rule
from serving.arms import CANARY, CONTROL
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.contracts.shadows import ShadowEvent
from serving.events.log import EventReader
from serving.following.arm_sums import ArmSums, Counted, ShadowSums
from serving.following.exposures import Exposures
from serving.following.follower import Follower
from serving.following.maturing import Mature, Maturing
from serving.following.recent import RecentSums
from serving.following.user_sums import UserSums, number_of
from serving.joining.rule import JoinRule
from serving.rollout.rule import HARD_LEVEL, RolloutRule
from serving.rollout.seen import mean_seen, seen
from serving.rollout.window import ArmSeen, Shares, Window

PART = 20_000  # events that are read before what is over is summed, where there are many
MINUTES = 10  # of which hard stops count
GRACE = (
    1.0  # s after its window for which a decision waits: an outcome is stamped before it is kept
)
REWARD, DECISIONS = "reward", "decisions"
LARGEST = 1e60  # its fourth power times all users is a number that float64 can hold


class Told(NamedTuple):
    """Of which rollout events are read."""

    rollout: str
    version: str  # its canary


class LiveReader:
    """Reads the events of a rollout as they come, and gives the numbers of a look at any time.

    A decision counts once the longest window of `join` has passed since, in both arms alike, with
    the outcomes that the join of the log would give it; the numbers behind hard stops count at
    once. Memory holds sums of each user, stage and arm, what waits for outcomes, and ids of what
    did not long ago: no event.

    told: whose decisions are read; all others are left out.
    rule: names the metrics: `reward` is that of `join`, `decisions` counts decisions, any other is
        the sum of the values of the outcomes of the kind of that name.
    join: windows and reward.
    read: how far each writer's events were read before the rollout began (`Follower`).
    rules: of the policies, by which slates are audited.
    minutes: whose decisions count for hard stops.
    """

    def __init__(
        self,
        events: EventReader,
        told: Told,
        rule: RolloutRule,
        join: JoinRule,
        *,
        read: Mapping[str, int] | None = None,
        rules: Sequence[tuple[Rule, ...]] = (),
        minutes: int = MINUTES,
    ) -> None:
        self.told, self.rule, self.join = told, rule, join
        self.follower, self.maturing = Follower(events, read), Maturing(join)
        self.all = UserSums(rule.metrics)
        self.recent = RecentSums(rule.metrics, rule.recent_seconds)
        self.arms = {arm: ArmSums(rule.p99_ms, minutes, rules) for arm in (CANARY, CONTROL)}
        self.shadow = ShadowSums(rule.p99_ms)
        self.exposures: dict[int, Exposures] = {}  # by stratum

    @property
    def counts(self) -> Counter[str]:
        """What did not count, and events that are missing or cannot be read."""
        return self.maturing.counts + self.follower.counts

    def read(self) -> None:
        """Take in what came since."""
        n, earliest = 0, math.inf
        for event in self.follower.new():
            self._take(event)
            n, earliest = n + 1, min(earliest, event.time)
            if n >= PART:
                self._settle(earliest)
                n, earliest = 0, math.inf

    def window(self, now: float, *, weight: float, since: float) -> Window:
        """What can be said at `now` (s) of the stage in which the canary has the share `weight` of
        users since `since` (s)."""
        self.read()
        self._settle(now - GRACE)
        stratum = stratum_of(weight)
        units, begins = self.all.units(), max(since, self.recent.begins(self._mature_until(now)))
        recent = self.recent.units(begins)
        recent = recent.where(recent.stratum == stratum)
        shown = self.exposures.get(stratum, Exposures())
        stage = units.where(units.stratum == stratum)
        return Window(
            time=now,
            weight=weight,
            canary=self._arm(CANARY, stratum, now, since, recent),
            control=self._arm(CONTROL, stratum, now, since, recent),
            rollout=seen(units, self.rule, "rollout", weight),
            stage=seen(stage, self.rule, "stage", weight),
            recent=seen(recent, self.rule, "recent", weight),
            recent_from=begins,
            hard=_shares(self.arms[CANARY].counted(now, HARD_LEVEL)),
            sample_ratio_p=sample_ratio(shown.canary, shown.control, weight).p_value
            if 0 < weight < 1 and shown.arms
            else None,
            multiple_exposure=shown.multiple,
            shadow=_shares(self.shadow.counted(HARD_LEVEL)),
        )

    def _take(self, event: Decision | OutcomeEvent | ShadowEvent) -> None:
        if isinstance(event, OutcomeEvent):
            self.maturing.add_outcome(event)
        elif isinstance(event, ShadowEvent):
            if event.policy == self.told.version:
                self.shadow.add([event])
        elif event.rollout.rpartition("@")[0] == self.told.rollout and event.arm in self.arms:
            stratum = stratum_said(event.rollout)
            if stratum is None or not self.maturing.add_decision(event):
                return
            self.arms[event.arm].add(event)
            user = number_of(event.user)
            self.exposures.setdefault(stratum, Exposures()).add(user, event.arm == CANARY)

    def _settle(self, until: float) -> None:
        """Sum what is over at `until` (s)."""
        for one in self.maturing.mature(until):
            made = one.decision
            user, canary = number_of(made.user), made.arm == CANARY
            stratum = stratum_said(made.rollout)
            assert stratum is not None
            values = values_of(self.rule.metrics, one, self.join)
            self.all.add(user, canary, stratum, values, begins=made.step == 0)
            self.recent.add(made.time, user, canary, stratum, values, begins=made.step == 0)

    def _arm(self, arm: str, stratum: int, now: float, since: float, recent: TrialUnits) -> ArmSeen:
        users, decisions = self.all.size(arm == CANARY, stratum)
        last = max(self.arms[arm].last(now), since)  # of an arm that never spoke: since it should
        return ArmSeen(
            users=users,
            decisions=decisions,
            silent_seconds=max(0.0, now - last),
            mean=mean_seen(recent.where(recent.canary == (arm == CANARY)), self.rule.metric),
        )

    def _mature_until(self, now: float) -> float:
        return now - GRACE - self.join.longest


def stratum_of(weight: float) -> int:
    """A number for a share of users: that of users of a million."""
    return round(1e6 * weight)


def stratum_said(rollout: str) -> int | None:
    """Of the share that stands in a decision's `rollout` after the id; None where none does."""
    try:
        weight = float(rollout.rpartition("@")[2])
    except ValueError:
        return None
    return stratum_of(weight) if 0 <= weight <= 1 else None


def values_of(metrics: Sequence[str], one: Mature, join: JoinRule) -> list[float]:
    """A decision's part of each metric: `reward` is that of the join, `decisions` counts, and any
    other is the sum of the values of outcomes of the kind of that name. Beyond LARGEST it counts
    as LARGEST, so that no value of a caller's makes a sum that is no number."""
    found = [_value_of(name, one, join.reward) for name in metrics]
    return [max(-LARGEST, min(LARGEST, x)) for x in found]


def _value_of(metric: str, one: Mature, reward: Mapping[str, float]) -> float:
    if metric == REWARD:
        return sum(reward.get(o.kind, 0.0) * o.value for o in one.outcomes)
    if metric == DECISIONS:
        return 1.0
    return sum(o.value for o in one.outcomes if o.kind == metric)


def _shares(found: Counted) -> Shares:
    return Shares(**asdict(found))
