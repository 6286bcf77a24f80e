"""What is said of logs: a clean one, one whose rewards count twice, one that cannot be made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments.faults.clean import false_alarms
from experiments.faults.judging import judged, told
from offpolicy import LoggedDataset
from policies import build, collect
from serving.joining.join import Joined
from tests.experiments.live.worlds import SIZES, make


def joined(log: LoggedDataset, **counts: int) -> Joined:
    n = len(log)
    none = np.zeros(n, np.bool_)
    ids = tuple(str(i) for i in range(n))
    time = np.arange(n, dtype=np.float64)
    return Joined(log, none, none, ids, time, (), (), Counter(counts))


@pytest.fixture(scope="module")
def log() -> LoggedDataset:
    env = make(32)
    return collect(env, build("uniform", env), n_sessions=120, seed=4)


def test_a_clean_log_passes_and_holds_the_truth(log: LoggedDataset) -> None:
    policy = build("uniform", make(1))
    said = judged(joined(log, late_outcomes=2), policy, SIZES["max_steps"])
    mean = np.bincount(log.sessions, log.reward).mean()
    assert said["check"] == "PASS"
    assert said["counts"] == {"late_outcomes": 2}
    assert said["estimate"][0] == pytest.approx(mean, rel=0.03)  # the target is what served
    assert said["gate"] == "cannot tell"
    assert said["step"] == "uplift"


def test_rewards_that_count_twice_are_not_seen_by_the_doctor_but_move_the_estimate(
    log: LoggedDataset,
) -> None:
    policy = build("uniform", make(1))
    assert log.position_reward is not None
    twice = replace(log, reward=2 * log.reward, position_reward=2 * log.position_reward)
    said = judged(joined(twice), policy, SIZES["max_steps"])
    once = judged(joined(log), policy, SIZES["max_steps"])
    assert said["check"] == once["check"]
    assert said["estimate"][0] == pytest.approx(2 * once["estimate"][0])


def test_a_log_that_cannot_be_is_refused_with_why(log: LoggedDataset) -> None:
    said = judged(joined(log), build("uniform", make(1)), 2)
    assert "max_steps" in said["refused"]
    assert judged(replace(joined(log), log=None), build("uniform", make(1)), 5)["rows"] == 0


def test_it_is_told_in_one_line() -> None:
    def one(check: str, low: float, high: float, gate: str, *troubles: str) -> dict[str, Any]:
        said = {"check": check, "estimate": [(low + high) / 2, low, high], "gate": gate}
        return {"judged": said | {"troubles": [*troubles], "users": []}}

    played = [
        one("PASS", 9.0, 11.0, "pass"),
        one("WARN", 14.0, 16.0, "pass", "heavy units"),
        one("WARN", 11.0, 13.0, "cannot tell", "heavy units", "clock"),
        {"judged": {"refused": "no session is over"}},
        {"judged": {}},
    ]
    assert told(played, 10.0) == (
        "refused 1 of 4; check: WARN 2, PASS 1 (heavy units); evaluate: +20%, holds the truth 1 of "
        "3; gate: pass 2, cannot tell 1"
    )
    assert told([{"judged": {}}], 10.0) == "-"


def test_false_alarms_are_counted_by_days() -> None:
    days = [{"fired": {"a": 3, "b": 9}}, {"fired": {}}, {"fired": {"b": 1}}]
    assert false_alarms(days) == {"b": 2, "a": 1}
