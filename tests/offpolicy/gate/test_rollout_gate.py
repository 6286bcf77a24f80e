"""Several candidates, guardrails and the record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.logs import check as check_command
from experiments.logs import compact as compact_log
from experiments.logs import gate as gate_rollout
from experiments.logs import which_estimator
from offpolicy import GateRule, LogError, LoggedDataset, Outcome, TargetScores, read_log, write_log
from offpolicy.gate.guardrails import GuardrailSpec, check_guardrails, slate_diversity
from offpolicy.judging import judge
from tests.offpolicy.factories import sessions_log, target


def test_candidates_are_judged_together_and_recorded() -> None:
    log = sessions_log(2500)
    names = {"better": 0.8, "worse": 0.2, "same": 0.5}
    candidates = {k: target(log, p) for k, p in names.items()}
    report = judge(log, candidates, horizon="one_step")
    assert report["better"].verdict.outcome is Outcome.PASS
    assert report["worse"].verdict.outcome is Outcome.FAIL
    assert report["same"].verdict.outcome is Outcome.UNDECIDED
    alone = judge(log, {"better": candidates["better"]}, horizon="one_step")["better"].uplift
    joint = report["better"].uplift
    assert joint.high - joint.low > alone.high - alone.low
    record = json.loads(report.to_json())
    assert record["log_hash"] == log.hash()
    assert len({c["policy_hash"] for c in record["candidates"]}) == 3
    other = judge(log, candidates, horizon="one_step", rule=GateRule(min_uplift=0.1))
    assert other.settings_hash != report.settings_hash


def test_guardrails_share_alpha_and_stop_a_better_policy() -> None:
    log = sessions_log(2500)
    scores = target(log, 0.8)
    shown = (log.slate[:, 0] == 0).astype(float)  # item 0 must keep 40 % of impressions
    keep = GuardrailSpec(name="share of item 0", values=shown, at_least=0.4, change=False)
    verdict = judge(log, {"x": scores}, horizon="one_step", guardrails=[keep])["x"].verdict
    assert (verdict.outcome, verdict.step) == (Outcome.FAIL, "guardrails")
    one = check_guardrails(log, scores, [keep], horizon="one_step")[0].interval
    two = check_guardrails(log, scores, [keep, keep], horizon="one_step")[0].interval
    assert one.value == pytest.approx(0.2, abs=0.02)
    assert two.high > one.high
    with pytest.raises(ValueError, match="7500 finite numbers"):
        check_guardrails(log, scores, [GuardrailSpec(name="x", values=[1.0])], horizon="one_step")


def test_a_fairness_gap_is_a_ratio_within_groups() -> None:
    """Reward of group 1 rows is doubled: the gap is 1 x the value of group 0."""
    log = sessions_log(3000)
    group = (np.asarray(log.session) % 3 == 0).astype(int)
    spec = GuardrailSpec(
        name="gap", values=log.reward * (1 + group), groups=group, change=False, at_most=2.0
    )
    gap_interval = check_guardrails(log, target(log), [spec], horizon="one_step")[0].interval
    assert gap_interval.low < 0.62 < gap_interval.high
    assert gap_interval.high - gap_interval.low < 0.2


def test_slate_diversity_counts_topics() -> None:
    slate = np.array([[0, 1], [0, 2], [0, -1]])
    assert slate_diversity(slate, [0, 0, 1]).tolist() == [1, 2, 1]
    assert slate_diversity(slate, np.array([[1, 1], [1, 0], [0, 1]])).tolist() == [2, 2, 2]


def saved(tmp_path: Path) -> tuple[Path, Path, LoggedDataset, TargetScores]:
    log = sessions_log(2500)
    scores = target(log, 0.8)
    write_log(log, tmp_path / "log")
    assert scores.slates is not None
    np.savez(tmp_path / "better.npz", propensity=scores.propensity, slates=scores.slates)
    return tmp_path / "log", tmp_path / "better.npz", log, scores


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, scores, log, _ = saved(tmp_path)
    assert check_command.run(check_command.Settings(log=path, json=tmp_path / "c.json")) == 0
    assert json.loads((tmp_path / "c.json").read_text())["verdict"] == "PASS"
    gate = gate_rollout.Settings(
        log=path, target=(str(scores), "uniform"), horizon="one_step", out=tmp_path / "gate.json",
        guardrail=("propensity>=-1",),
    )  # fmt: skip
    assert gate_rollout.run(gate) == 0
    record = json.loads((tmp_path / "gate.json").read_text())
    assert [c["verdict"]["outcome"] for c in record["candidates"]] == ["pass", "cannot tell"]
    which = which_estimator.Settings(log=path, redraws=5, tilt=(1.0,))
    assert which_estimator.run(which) == 0
    assert "least error" in capsys.readouterr().out
    per_session = which_estimator.Settings(log=path, redraws=5, horizon="per_decision")
    with pytest.raises(LogError, match="log candidate_propensity"):
        which_estimator.run(per_session)
    assert compact_log.run(compact_log.Settings(source=path, destination=tmp_path / "tidy")) == 0
    assert read_log(tmp_path / "tidy").hash() == log.hash()


def test_commands_say_what_is_written_wrong(tmp_path: Path) -> None:
    path, _, log, _ = saved(tmp_path)
    with pytest.raises(ValueError, match="write ours=theirs"):
        check_command.run(check_command.Settings(log=path, columns=("slate",)))
    with pytest.raises(ValueError, match=r"no column joy\.0; it has session, step"):
        gate_rollout.guardrail_of("joy>=1", log)
    with pytest.raises(ValueError, match=r"column\.place>=bound"):
        gate_rollout.guardrail_of("joy", log)
