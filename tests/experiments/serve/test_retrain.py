"""`longplay retrain` from a log on disk to a version, and its lineage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from offpolicy import write_log
from offpolicy.drift.findings import Act, Drift, DriftFinding
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.record import DriftReport
from tests.serving.relearning.factories import registry_of, served


def test_it_learns_when_due_and_tells_where_the_version_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    write_log(log, tmp_path / "log")
    before = registry.pointer()
    given = ["retrain", "--registry", str(registry.folder), "--log", str(tmp_path / "log")]
    assert main([*given, "--sessions", "5000"]) == 0
    assert "does not learn: 1,200 of 5,000 new sessions" in capsys.readouterr().out
    learn = [*given, "--set", "temperature=0.5", "--name", "monday", "--min-ess", "20"]
    assert main([*learn, "--sessions", "1000", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ready"]
    assert said["trigger"] == "sessions"
    assert said["cut"]["hash"] == log.hash()
    assert registry.pointer() == before
    assert main([*given, "--every", "1d"]) == 0
    assert "runs are 3,600 s apart" in capsys.readouterr().out
    again = [*given, "--set", "temperature=0.5", "--cut", "monday", "--min-ess", "20"]
    assert main(again) == 0
    text = capsys.readouterr().out
    assert f"version: {said['version']}" in text
    assert "learns: a person asked" in text
    asked = ["release", "lineage", said["version"][:8], "--registry", str(registry.folder)]
    assert main([*asked, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["version"] for one in record] == [said["version"], before.live]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "temperature=0.5" in text
    assert "added by hand" in text
    assert main([*given, "--learner", "nobody"]) == 2
    assert "no learner 'nobody'" in capsys.readouterr().err


def drift_report(level: Drift) -> str:
    finding = DriftFinding(
        subject="outcomes", what="value", statistic="difference", value=-0.2, threshold=0.1,
        level=level, counts=True, act=Act.RETRAIN, action="retrain on what came since",
    )  # fmt: skip
    return DriftReport((finding,), DriftRule(), ((9, 9, 9), (9, 9, 9)), "one_step").to_json()


def test_an_alarm_of_a_drift_report_is_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    write_log(log, tmp_path / "log")
    report = tmp_path / "drift.json"
    given = ["retrain", "--registry", str(registry.folder), "--log", str(tmp_path / "log")]
    given += ["--set", "temperature=0.5", "--min-ess", "20", "--drift", str(report)]
    report.write_text(drift_report(Drift.NOTED))
    assert main([*given, "--when-drift"]) == 0
    assert "does not learn: no drift alarm" in capsys.readouterr().out
    report.write_text(drift_report(Drift.ALARM))
    assert main(given) == 2
    assert "--when-drift" in capsys.readouterr().err
    assert main([*given, "--when-drift"]) == 0
    assert "learns: drift: value: retrain on what came since" in capsys.readouterr().out
    report.write_text("{}")
    assert main([*given, "--when-drift"]) == 2
    assert "no drift report" in capsys.readouterr().err
