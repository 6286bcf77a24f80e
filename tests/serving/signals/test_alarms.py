"""Alarms from sums: what fires, how it is grouped, and what stays silent without data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.metrics.estimates import Estimate
from serving.metrics.slis import Shown, slis_of
from serving.metrics.sums import Sums
from serving.metrics.text.watched import watched_slis
from serving.signals.alarms import Alarm, firing, firing_by_arm, grouped


def answered(policy: int, failed: int) -> dict[str, Shown]:
    """Indicators of a server that answered and failed so often."""
    counts = {("longplay_requests", "policy"): policy, ("longplay_requests", "failed"): failed}
    return slis_of(Sums({k: float(n) for k, n in counts.items()}), 300.0)


@pytest.mark.parametrize(
    ("failed", "name", "severity"),
    [
        (10, None, None),  # a share of .001 is the budget
        (20, "LongplaySuccessBurnsSlowly", "ticket"),  # .002 [.0013, .0031]
        (100, "LongplaySuccessBurns", "page"),  # .0099 [.0082, .012]: beyond 6 times .001
        (400, "LongplaySuccessBurnsFast", "page"),  # .038 [.035, .042]: beyond 14.4 times
    ],
)
def test_a_budget_is_judged_by_the_near_end_of_the_interval(
    failed: int, name: str | None, severity: str | None
) -> None:
    alarms = firing(answered(10_000, failed), pipeline="music")
    assert [(one.name, one.severity) for one in alarms] == ([(name, severity)] if name else [])
    assert all((one.measure, one.pipeline, one.version) == ("M3", "music", "all") for one in alarms)


def test_few_data_and_no_data_are_no_alarm() -> None:
    assert firing(answered(9, 1)) == []  # .1 [.018, .40]: nobody is woken by one failure of ten
    assert firing(answered(90, 10)) != []
    assert firing(answered(0, 0)) == []
    assert firing(watched_slis({("longplay_sample_ratio_p", ""): None})) == []


def test_what_is_compared_with_the_day_before() -> None:
    now = watched_slis({("longplay_session_reward", "live"): Estimate(2.0, 900, 1.8, 2.2)})
    day = watched_slis({("longplay_session_reward", "live"): Estimate(3.0, 900, 2.9, 3.1)})
    (alarm,) = firing(now, before=day)
    assert (alarm.name, alarm.measure, alarm.about) == ("LongplaySessionReward", "M4", "live")
    assert "a day before 3 [2.9, 3.1]" in alarm.said
    assert firing(now) == firing(now, before=now) == firing(day, before=now) == []
    wide = watched_slis({("longplay_session_reward", "live"): Estimate(2.0, 9, 1.0, 2.4)})
    assert firing(wide, before=day) == []  # 2.4 is not below .8 times 2.9


def test_traffic_that_varies_is_no_alarm_and_traffic_that_falls_is() -> None:
    """70 requests where there were 170 the day before may be chance: 70 [55.4, 88.4] is not below
    half of [146.3, 197.6]. 40 [29.4, 54.5] is."""
    day = answered(170, 0)
    assert firing(answered(70, 0), before=day) == []
    assert [one.name for one in firing(answered(40, 0), before=day)] == ["LongplayRequests"]


def test_an_alarm_asks_for_as_many_decisions_as_its_rule_does() -> None:
    def slis(shown: list[int]) -> dict[str, Shown]:
        """Items shown so often, one a slate."""
        counts = {("longplay_decisions", "true"): float(sum(shown))}
        return slis_of(Sums(counts, shown=np.array(shown)), 300.0)

    day = slis([50] * 30)
    assert firing(slis([99]), before=day) == []
    found = firing(slis([100]), before=day)
    assert [one.name for one in found] == ["LongplayItemsEffective"]


def test_few_weights_say_nothing_of_their_mean() -> None:
    """A mean of .5 with hardly any spread: of 99 weights no bound is set."""
    few, many = (
        slis_of(
            Sums(moments={"longplay_first_place_weight": n * np.array([1.0, 0.5, 0.2501])}), 1.0
        )
        for n in (99, 100)
    )
    assert few["mean_weight"]["verdict"] == "unsure"
    assert many["mean_weight"]["verdict"] == "missed"
    assert [one.name for one in firing(many)] == ["LongplayMeanWeight"]
    assert firing(few) == []


def test_what_the_watch_reads() -> None:
    readings = {
        ("longplay_uplift", "reward"): Estimate(-0.5, 1000, -0.9, -0.1),
        ("longplay_uplift", "returns"): Estimate(-0.1, 1000, -0.4, 0.2),
        ("longplay_arm_mean_weight", "canary"): Estimate(0.9, 1000, 0.85, 0.95),
        ("longplay_drift_findings", "outcomes"): 2,
    }
    alarms = firing(watched_slis(readings), version="v2")
    assert [(one.severity, one.measure, one.about) for one in alarms] == [
        ("page", "M10", "canary"), ("ticket", "M5", "reward"), ("ticket", "M8", "outcomes"),
    ]  # fmt: skip
    assert alarms[2].runbook == "drift"
    assert alarms[0].to_json()["version"] == "v2"


def test_arms_have_alarms_of_their_own_and_the_whole_has_the_rest() -> None:
    def of(n: int, broken: int) -> Sums:
        return Sums({("longplay_violations", "rule"): broken, ("longplay_decisions", "true"): n})

    good, bad = of(900, 0), of(100, 3)
    arms = {
        ("control", "v1"): slis_of(good, 300.0, by_arm=True),
        ("canary", "v2"): slis_of(bad, 300.0, by_arm=True),
    }
    (alarm,) = firing_by_arm(slis_of(good + bad, 300.0), arms)
    assert (alarm.name, alarm.version, alarm.about) == ("LongplayViolations", "v2", "canary")
    failing = slis_of(good + Sums({("longplay_requests", "failed"): 100.0}), 300.0)
    assert [one.version for one in firing_by_arm(failing, {})] == ["all"]


def test_alarms_are_grouped() -> None:
    """By hand: the same one twice, a ticket that a page of its measure and version makes idle, one
    of another version and one of another pipeline, which it does not."""
    page = Alarm(
        name="A", title="a", measure="M3", severity="page", what_to_do="Do.", runbook="r", said="",
        version="v1", pipeline="p",
    )  # fmt: skip
    ticket = replace(page, name="B", severity="ticket")
    early, other = replace(ticket, name="C", measure="M2"), replace(ticket, version="v2")
    elsewhere = replace(ticket, pipeline="q")
    given = [elsewhere, other, ticket, early, page, page]
    assert grouped(given) == [page, early, other, elsewhere]
    assert grouped(given) == grouped(reversed(given)) == grouped(grouped(given))
