"""What stands before the door of a service: a wave of users, bots, and wrong reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from experiments.faults.service.canaries import Misdrawing, Turning
from experiments.faults.service.crowds import NEW, Bots, Wave
from experiments.faults.service.reports import Reports, late_by, sent_again, under_other_ids
from experiments.live.users.doors import Answered
from policies import Policy, build, observation_of
from policies.base import act
from serving import Outcome, Request
from tests.experiments.live.worlds import make


@dataclass
class Behind:
    """A door that writes down who came through it."""

    names: Sequence[str] = ("a", "b", "c")
    response_names: Sequence[str] = ("liked",)
    now: float = 0.0
    asked: list[Request] = field(default_factory=list)
    told: list[tuple[float, Outcome]] = field(default_factory=list)

    def at(self, now: float) -> None:
        self.now = now

    def decide(self, requests: Sequence[Request]) -> Sequence[Any]:
        self.asked += requests
        return [Answered(("a", "b"), "v1") for _ in requests]

    def report(self, outcomes: Sequence[Outcome]) -> None:
        self.told += [(self.now, one) for one in outcomes]


def request(user: int, visit: int, step: int = 0) -> Request:
    return Request(request_id=f"{user}/{visit}/{step}", user=f"u{user}", session=f"s{visit}")


def outcome(decision_id: str, user: str) -> Outcome:
    return Outcome(outcome_id=f"{decision_id}/o", decision_id=decision_id, user=user, kind="paid")


def test_a_wave_is_of_sessions_that_begin_later_and_keeps_their_outcomes() -> None:
    behind = Behind()
    wave = Wave(behind, since=100.0, share=0.5, seed=3)
    wave.at(0.0)
    wave.decide([request(n, 0) for n in range(200)])
    wave.at(100.0)
    wave.decide([request(n, 0, 1) for n in range(200)])  # sessions that began before
    assert all(not one.user.startswith(NEW) for one in behind.asked)
    wave.decide([request(n, 1) for n in range(200)])
    wave.decide([request(n, 1, 1) for n in range(200)])
    first, second = behind.asked[400:600], behind.asked[600:]
    new = [one.user.startswith(NEW) for one in first]
    assert 70 < sum(new) < 130
    assert [one.user for one in first] == [one.user for one in second]
    wave.report([outcome(one.request_id, f"u{n}") for n, one in enumerate(first)])
    assert [o.user for _, o in behind.told] == [one.user for one in first]


def test_bots_ask_beside_people_and_report_what_stands_first() -> None:
    behind = Behind()
    bots = Bots(behind, since=10.0, bots=2, value=4.0, steps=2)
    people = [request(n, 0) for n in range(3)]
    assert len(bots.decide(people)) == 3
    assert len(behind.asked) == 3
    bots.at(10.0)
    assert len(bots.decide(people)) == 3  # people get their own answers alone
    bots.decide(people)
    ids = [one.request_id for one in behind.asked if one.user == "bot 1"]
    assert ids == ["bot 1/0/0", "bot 1/0/1"]
    own = [o for _, o in behind.told if o.user == "bot 1"]
    assert [o.kind for o in own] == ["taken", "paid", "taken", "paid", "terminated"]
    assert {o.item for o in own} == {"a", None}
    bots.decide([])
    assert len(behind.told) == 10


def test_reports_come_as_they_are_changed() -> None:
    for change, expected in (
        (sent_again(3, 60.0), [(50.0, "d/o"), (110.0, "d/o"), (170.0, "d/o")]),
        (under_other_ids, [(50.0, "d/o"), (50.0, "d/o, again")]),
        (late_by(100.0), [(150.0, "d/o")]),
    ):
        behind = Behind()
        reports = Reports(behind, since=50.0, change=change)
        reports.report([outcome("early", "u")])
        reports.at(50.0)
        reports.report([outcome("d", "u")])
        reports.at(500.0)
        assert [(at, o.outcome_id) for at, o in behind.told[1:]] == expected
        assert behind.told[0][1].outcome_id == "early/o"
        assert behind.now == 500.0


def policies() -> tuple[Any, Policy, Policy]:
    env = make(400)
    return env, build("top_rated", env, temperature=0.5), build("top_rated", env, temperature=0.25)


def test_a_policy_that_misdraws_logs_what_it_says_and_draws_otherwise() -> None:
    env, said, sharp = policies()
    rng = np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    seen = observation_of(obs)
    found = act(Misdrawing(said, sharp), seen, rng)
    prefix = said.distribution(seen).prefix(found.action)
    assert found.propensity == pytest.approx(prefix[:, -1])
    assert found.first_place == pytest.approx(said.distribution(seen).first_place())
    honest = act(said, seen, np.random.default_rng(0))
    likely = [one.position_propensity[:, 0].mean() for one in (found, honest)]
    assert likely[0] > likely[1]  # it draws what it says is likely, too often


def test_a_policy_turns_at_its_moment() -> None:
    env, one, other = policies()
    obs, _ = env.reset(seed=0)
    seen, now = observation_of(obs), [0.0]
    turning = Turning(one, other, lambda: now[0], at=5.0)
    assert turning.distribution(seen).first_place() == pytest.approx(
        one.distribution(seen).first_place()
    )
    now[0] = 5.0
    assert turning.distribution(seen).first_place() == pytest.approx(
        other.distribution(seen).first_place()
    )
