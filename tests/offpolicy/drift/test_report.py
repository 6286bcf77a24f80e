"""The report: what counts, what is only noted, and what to do."""

import json
from itertools import pairwise

import numpy as np
import pytest

from offpolicy.drift.findings import Act, Drift
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.report import drift
from offpolicy.errors import LogError
from tests.offpolicy.drift.logs import world

FAST = DriftRule(permutations=99)
REFERENCE, SCORES = world(0)


def test_nothing_moved():
    log, scores = world(1, first_user=1_000)
    report = drift(
        REFERENCE, log, rule=FAST, target=(SCORES, scores), time=np.arange(len(log)) * 60.0,
        segments={"device": lambda x: np.where(x.session % 2, "phone", "desk")},
    )  # fmt: skip
    assert report.verdict is Drift.NONE
    assert report.acts == (Act.NOTHING,)
    assert report["reward a session"].low < 0 < report["reward a session"].high
    assert report["reward inside the recent log"].threshold == pytest.approx(400 / (0.05 * 0.1))
    assert {f.subject for f in report.findings} == {
        "inputs", "propensities", "outcomes", "segments"
    }  # fmt: skip


def test_moved_inputs_alone_are_noted():
    """Contexts moved; what is chosen pays the same as anything else."""
    report = drift(REFERENCE, world(2, moved=0.5)[0], rule=FAST)
    assert report.verdict is Drift.NOTED
    assert report["context[0]"].level is Drift.NOTED
    assert not report["context[0]"].counts
    assert report["context[0]"].act is Act.WATCH
    assert not report.alarm


def test_preferences_that_moved_call_for_retraining():
    """Two items that were liked are liked no more: value fell, and other items are consumed."""
    rng = np.random.default_rng(0)
    log, _ = world(3)
    liked = np.isin(log.slate[:, 0], [0, 1, 2]) & (rng.random(len(log)) < 0.8)
    fallen = replaced(log, reward=np.where(liked, 0.0, log.reward),
                      consumed=np.where(liked, -1, log.consumed))  # fmt: skip
    report = drift(REFERENCE, fallen, rule=FAST)
    assert report.alarm
    assert report["items consumed"].counts
    assert report["reward a session"].act is Act.RETRAIN
    assert report["reward a session"].high < 0


def test_a_fall_that_came_with_a_version_is_rolled_back():
    report = drift(REFERENCE, world(4, lost=0.4, logger="v2")[0], rule=FAST)
    assert report.alarm
    assert report["reward a session"].act is Act.ROLL_BACK
    assert "Roll back to v1" in report["reward a session"].action


def test_a_fall_that_came_with_nothing_is_looked_for_in_the_pipeline():
    log, _ = world(5)
    report = drift(REFERENCE, replaced(log, reward=log.reward * 0.7), rule=FAST)
    assert report["reward a session"].act is Act.CHECK
    risen = drift(REFERENCE, replaced(log, reward=log.reward * 1.4), rule=FAST)
    assert "counted twice" in risen["reward a session"].action


def test_a_sharper_policy_calls_for_exploration():
    report = drift(REFERENCE, world(6, sharp=2.5)[0], rule=FAST)
    entropy = report["entropy of the first place (nats)"]
    assert entropy.counts
    assert entropy.act is Act.EXPLORE
    assert report.alarm


def test_wrong_propensities_are_checked():
    log, scores = world(7, wrong=True)
    report = drift(REFERENCE, log, target=(SCORES, scores), rule=FAST)
    assert report["mean weight, target (T1)"].act is Act.CHECK
    assert report.acts[0] is Act.CHECK
    both = drift(world(8, wrong=True)[0], log, rule=FAST)
    known = both["mean weight per item (T2)"]
    assert known.level is Drift.NOTED
    assert "no drift" in known.action


def test_a_change_inside_the_recent_log():
    log, _ = world(9, users=1_000, falls_at=700)
    report = drift(world(10, users=2_000)[0], log, time=log.user * 3_600.0, rule=FAST)
    late = report["reward inside the recent log"]
    assert late.counts
    assert late.value < 0
    assert 600 <= int(late.detail.split("value ")[1].split()[0]) <= 800


def test_one_segment_that_fell():
    log, _ = world(11, users=800)
    country = np.array(["a", "b", "c", "d"])[log.user % 4]
    fell = replaced(log, reward=np.where(country == "c", 0.5, 1.0) * log.reward)
    old = np.array(["a", "b", "c", "d"])[REFERENCE.user % 4]
    report = drift(REFERENCE, fell, segments={"country": (old, country)}, rule=FAST)
    hit = [f.what for f in report.findings if f.subject == "segments" and f.counts]
    assert hit == ["reward a session, country c"]


def test_too_few_cannot_tell():
    report = drift(world(12, users=30)[0], world(13, users=30)[0], rule=FAST)
    assert report.verdict is Drift.CANNOT_TELL
    assert report.acts == (Act.WATCH,)


def test_lost_events_are_said():
    log, _ = world(14)
    holes = log.take(np.random.default_rng(0).random(len(log)) > 0.1)
    report = drift(REFERENCE, holes, rule=FAST)
    assert report["sessions with missing decisions"].act is Act.CHECK
    assert report.estimand == "reward a decision"
    assert not report.alarm


def test_every_finding_leads_to_an_action():
    reports = [
        drift(REFERENCE, world(seed, **settings)[0], rule=FAST)
        for seed, settings in enumerate([{}, {"sharp": 3}, {"moved": 1}, {"lost": 0.5}], 20)
    ]
    for finding in (f for report in reports for f in report.findings):
        assert finding.act in Act
        assert finding.action.endswith(".")
        assert (finding.act is Act.NOTHING) == (finding.level is Drift.NONE)
        assert finding.counts == (finding.level is Drift.ALARM)


def test_the_report_as_text_as_json_and_as_a_page():
    report = drift(REFERENCE, world(4, lost=0.4, logger="v2")[0], rule=FAST)
    record = json.loads(report.to_json())
    assert record["verdict"] == "alarm"
    assert record["acts"][0] == "roll back"
    assert record["sizes"]["reference"] == {"decisions": 2_000, "sessions": 400, "users": 400}
    for text in (str(report), report.to_markdown(), report.to_html()):
        assert "Roll back to v1" in text
        assert "Kolmogorov-Smirnov" in text


@pytest.mark.parametrize("monitored", [False, True])
def test_false_alarms_on_clean_logs(monitored):
    """Heavy-tailed rewards, five rows a user; 60 pairs at the level of 5 %."""
    rule = DriftRule(permutations=19, monitored=monitored)
    logs = [world(s, 100, heavy=True)[0] for s in range(100, 160)]
    alarms = sum(drift(a, b, rule=rule).alarm for a, b in pairwise(logs))
    assert alarms <= 6


def test_bad_input_is_named():
    with pytest.raises(LogError, match="row_weight"):
        drift(REFERENCE, replaced(REFERENCE, row_weight=np.ones(2_000)))
    with pytest.raises(LogError, match="column age of the recent log has shape"):
        drift(REFERENCE, REFERENCE, columns={"age": (np.ones(2_000), np.ones(3))})
    with pytest.raises(LogError, match="margin"):
        DriftRule(margin=-1)


def replaced(log, **columns):
    from dataclasses import replace

    return replace(log, **{k: np.asarray(v, getattr(log, k).dtype if getattr(log, k) is not None
                                         else None) for k, v in columns.items()})  # fmt: skip
