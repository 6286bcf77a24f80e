"""`longplay release readiness`: what holds is ticked, what was broken is not, and why is said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from experiments.serve.ready import events as ready_events
from experiments.serve.ready import records
from experiments.serve.ready.versions import subject_of
from offpolicy import write_log
from offpolicy.storage.sealed import sealed as with_digest
from serving import MemoryLog, Outcome, Registry, Request, SegmentLog, open_engine
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.events.folder import SegmentFolder
from serving.http.opening import open_service
from serving.http.running import running
from serving.registry.pointer import Pointer
from tests.offpolicy.factories import sessions_log
from tests.serving.factories import names_of
from tests.serving.http.factories import PATIENT
from tests.serving.registry.factories import CATALOGUE, A, make_registry, saved

FALLBACK = tuple(names_of(A)[:8])


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Two versions that were live one after the other, the second with a gate's report."""
    made, versions = make_registry(tmp_path)
    gate = tmp_path / "gate.json"
    verdict = {"candidates": [{"name": "policy-1", "verdict": {"outcome": "pass"}}]}
    gate.write_text(json.dumps(verdict))
    made.add(saved(tmp_path / "again", 1), catalogue=CATALOGUE, gate=gate)
    made.promote(versions[0], fallback=FALLBACK)
    made.promote(versions[1])
    open_engine(made, MemoryLog())  # makes the secret
    return tmp_path / "registry"


def readiness(
    registry: Path, capsys: pytest.CaptureFixture[str], *options: object
) -> tuple[int, dict[str, Any]]:
    """Exit status, and the lines by name."""
    capsys.readouterr()
    status = main(
        ["release", "readiness", "--registry", str(registry), "--json", *map(str, options)]
    )
    said = json.loads(capsys.readouterr().out)
    assert said["ready"] == (status == 0)
    return status, {line["name"]: line for line in said["lines"]}


def _records(folder: Path) -> list[object]:
    """What a team would have: a load test, kills, a plan, a log."""
    fast = {"P95": {"value": 9, "low": 8, "high": 10}, "P99": {"value": 20, "low": 9, "high": 30}}
    success = {"value": 1.0, "low": 0.9995, "high": 1.0}
    decide = {"latency_ms": fast, "success": success}
    (folder / "load.json").write_text(json.dumps({"rps": 50, "seconds": 60, "decide": decide}))
    (folder / "crash.md").write_text(
        "kill -9 under 200 a second: kills                  20\n"
        "the log of load and kills: torn records    0 among 18   0   ok\n"
    )
    write_log(sessions_log(), folder / "log")
    plan = ["trial", "plan", str(folder / "log"), "--log-days", "7", "--json"]
    assert main([*plan, str(folder / "trial.json")]) == 0
    named = {"load": "load.json", "crash": "crash.md", "trial": "trial.json", "log": "log"}
    return [x for name, file in named.items() for x in (f"--{name}", folder / file)]


def test_a_version_with_all_its_records_is_ready(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ("--stage", "pre-production")
    history = (registry / "history.jsonl").read_bytes()
    status, lines = readiness(registry, capsys, *before, *_records(tmp_path))
    assert {name: line["state"] for name, line in lines.items()} == dict.fromkeys(lines, "holds")
    assert status == 0
    assert len(lines) == 12
    assert "gate.json: policy-1: pass" in lines["gate"]["proof"]
    assert re.search(r"rolled back to \w{12} in \d+ ms", lines["rollback"]["proof"])
    assert (registry / "history.jsonl").read_bytes() == history, "a rehearsal touches nothing"
    status, bare = readiness(registry, capsys, *before)
    unknown = {name for name, line in bare.items() if line["state"] == "not known"}
    assert unknown == {"log", "load", "crash", "trial"}
    assert status == 1
    assert readiness(registry, capsys, *before, "--waive", *sorted(unknown))[0] == 0
    assert main(["release", "readiness", "--registry", str(registry), "--waive", "luck"]) == 2
    assert "--waive luck: there are gate, log" in capsys.readouterr().err


def test_what_was_broken_is_crossed(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Registry(registry)
    version = made.find("live").folder
    (registry / "secret").chmod(0o644)
    gate = json.loads((version / "evidence.json").read_text())
    said = with_digest(gate | {"verdicts": {"x": "cannot tell"}})
    (version / "evidence.json").write_text(json.dumps(said))
    weights = next(version.glob("policy/*.safetensors"))
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    given = ["--stage", "pre-production", "--limit-mb", "0.001", *_records(tmp_path)]
    (tmp_path / "crash.md").write_text("the log of kills: torn records   3 among 18   0   MISSED\n")
    load = json.loads((tmp_path / "load.json").read_text())
    load["decide"]["latency_ms"]["P99"] = {"value": 80, "low": 60, "high": 90}
    (tmp_path / "load.json").write_text(json.dumps(load))
    status, lines = readiness(registry, capsys, *given)
    assert status == 1
    proofs = {n: line["proof"] for n, line in lines.items() if line["state"] == "does not hold"}
    assert proofs.keys() == {
        "gate", "golden", "rules", "load", "crash", "memory", "rollback", "secret", "fallback",
    }  # fmt: skip
    assert "chmod 600" in proofs["secret"]
    assert "P99 80.0 [60.0, 90.0] ms (at most 50)" in proofs["load"]
    assert "torn records 3 among 18 0 MISSED" in proofs["crash"]
    assert "0.0 MB on disk, limit 0 MB" in proofs["memory"]
    status, lines = readiness(registry, capsys, *given[:2])
    assert "not the file that was added" in lines["golden"]["proof"]


def test_a_catalogue_of_other_items_is_seen(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Registry(registry)
    other = made.add(saved(tmp_path / "other", 2))
    _, lines = readiness(registry, capsys, other, "--stage", "pre-production")
    assert lines["sizes"]["state"] == "does not hold"
    assert "the names of items" in lines["sizes"]["proof"]
    assert lines["fallback"]["state"] == "does not hold"


def _serve(registry: Path, log: Any, n: int = 60) -> None:
    """Sessions of two decisions, each taken at once, on a clock of seconds."""
    engine = open_engine(Registry(registry), log)
    now = iter(range(10**6))
    engine.clock = lambda: float(next(now))
    engine.announce()
    names = names_of(A)
    for i in range(n):
        for step in range(2):
            d = engine.decide(
                Request(request_id=f"{i}/{step}", user=f"u{i}", session="s", context=(0.0,),
                        candidates=tuple(names[(i + k) % A] for k in range(8)))
            )  # fmt: skip
            taken = d.items[0]
            engine.outcome(
                Outcome(outcome_id=f"o{i}/{step}", decision_id=d.decision_id, user=f"u{i}",
                        kind="taken", item=taken, responses={"click": 1.0})
            )  # fmt: skip


@pytest.fixture
def served(registry: Path) -> Iterator[tuple[Path, MemoryLog]]:
    log = MemoryLog()
    _serve(registry, log)
    return registry, log


def _changed(log: MemoryLog, **changes: Any) -> MemoryLog:
    """With other decisions: a value, or what is made of each decision."""
    new = MemoryLog()
    for event in log.events:
        made = read_event(event)
        if isinstance(made, Decision):
            given = {k: v(made) if callable(v) else v for k, v in changes.items()}
            event = replace(made, **given).to_json()
        new.append(event)
    return new


def test_a_good_log_holds_and_each_fault_is_seen(served: tuple[Path, MemoryLog]) -> None:
    registry, log = served
    s = subject_of(Registry(registry), None)
    good = ready_events.read_events(log, 10_000)
    assert len(good.decisions) == 120
    for found in (
        ready_events.numbers(good), ready_events.outcomes(good, 10.0), ready_events.weight(good),
        ready_events.breaches(good, s), ready_events.skew(good),
    ):  # fmt: skip
        assert found[0] is True, found

    def of(changed: MemoryLog) -> ready_events.Events:
        return ready_events.read_events(changed, 10_000)

    twice = of(_changed(log, slate=lambda d: (d.slate[0], *d.slate[:-1])))
    holds, proof = ready_events.breaches(twice, s)
    assert holds is False
    assert "120 twice" in proof
    unknown = of(_changed(log, rules="other"))
    assert ready_events.breaches(unknown, s)[0] is None
    wrong = of(_changed(log, position_propensity=lambda d: (0.02, *d.position_propensity[1:])))
    assert ready_events.weight(wrong)[0] is False
    blind = of(_changed(log, candidate_propensity=None))
    assert ready_events.weight(blind)[0] is None
    holds, proof = ready_events.skew(of(_changed(log, history_hash="0" * 16)))
    assert holds is False
    assert proof.startswith("120 of 120 decisions saw another history")
    silent = MemoryLog()
    silent.events = [e for e in log.events if b'"type":"outcome_event"' not in e]
    assert ready_events.outcomes(of(silent), 10.0)[0] is False
    assert ready_events.outcomes(good, 1e6)[0] is None, "no window has passed"


def test_a_canary_has_its_share_of_users(served: tuple[Path, MemoryLog]) -> None:
    _, log = served
    pointer = Pointer(revision=3, live="a", canary="b", weight=0.5, salt="s", rollout="r")

    def found(**changes: Any) -> Any:
        made = _changed(log, **changes)
        return ready_events.arms(ready_events.read_events(made, 10_000), pointer)

    assert ready_events.arms(ready_events.read_events(log, 10), Pointer())[0] is True
    assert found()[1] == "no decision is of r@0.5: the servers do not follow the pointer"
    halves = {user: n % 2 for n, user in enumerate(_users(log))}
    good = found(rollout="r@0.5", arm=lambda d: ("control", "canary")[halves[d.user]])
    assert good[0] is True
    assert "30 of 60 users in the canary" in good[1]
    assert found(rollout="r@0.5", arm="canary")[0] is False
    holds, proof = found(rollout="r@0.5", arm=lambda d: ("control", "canary")[d.step])
    assert holds is False
    assert "60 in both arms" in proof


def _users(log: MemoryLog) -> list[str]:
    made = [read_event(event) for event in log.events]
    return sorted({one.user for one in made if isinstance(one, Decision)})


def test_an_outcome_that_the_caller_reports_late_is_not_the_servers_skew(
    served: tuple[Path, MemoryLog],
) -> None:
    _, log = served
    late = MemoryLog()
    empty = next(d.history_hash for e in log.events if isinstance(d := read_event(e), Decision))
    for event in log.events:
        made = read_event(event)
        if isinstance(made, Decision) and made.step == 1:
            made = replace(made, time=made.time - 1.5, history_hash=empty)
            event = made.to_json()  # asked before the outcome of the first came
        late.append(event)
    holds, proof = ready_events.skew(ready_events.read_events(late, 10_000))
    assert holds is True
    assert "60 more did because an outcome came after the next request" in proof


def test_a_missing_number_is_seen(registry: Path, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    with closing(SegmentLog(folder)) as log:
        _serve(registry, log, 3)
    sealed = next(folder.glob("*.jsonl"))
    lines = sealed.read_bytes().splitlines(keepends=True)
    first, rest = sealed.name.rsplit("-", 1)[0], lines[6:]
    sealed.write_bytes(b"".join(lines[:5]))
    (folder / f"{first}-{6:012d}.jsonl").write_bytes(b"".join(rest))
    holds, proof = ready_events.numbers(ready_events.read_events(SegmentFolder(folder), 100))
    assert holds is False
    assert "1 numbers missing" in proof


def test_a_running_server_is_asked(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = open_service(Registry(registry), str(tmp_path / "events"), limits=PATIENT)
    runbook = tmp_path / "RUNBOOK.md"
    runbook.write_text("\n".join(f"## {topic}" for topic in records.TOPICS))
    drift = tmp_path / "drift.json"
    drift.write_text(json.dumps({"verdict": "noted", "acts": ["watch"]}))
    with running(service) as url:
        given = ["--stage", "production", "--url", url, "--drift", drift, "--runbook", runbook]
        _, lines = readiness(registry, capsys, *given)
        held = {name for name, line in lines.items() if line["state"] == "holds"}
        assert held == {"ready", "version", "metrics", "previous", "drift", "runbook"}
        assert lines["arms"]["proof"] == "no event log was given (--events)"
        Registry(registry).rollback()
        _, lines = readiness(registry, capsys, *given, "--url", f"{url}/")
        if lines["version"]["state"] != "holds":  # the server may not have followed yet
            assert "the pointer names" in lines["version"]["proof"]
    _, lines = readiness(registry, capsys, *given)
    assert lines["ready"]["state"] == "does not hold"
    assert "cannot be reached" in lines["ready"]["proof"]


def test_records_of_other_kinds_are_named(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    for read in (records.load, records.trial, records.drift, records.crash):
        with pytest.raises(ValueError, match=r"other\.json"):
            read(other)
    assert records.runbook(other)[0] is False
    assert records.drift(None)[0] is None


@pytest.mark.parametrize("good", [True, False])
def test_alert_rules_are_checked_by_promtool(tmp_path: Path, good: bool) -> None:
    rules = tmp_path / "rules.yml"
    expr = "up == 0" if good else "up =="
    rules.write_text(f"groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: {expr}\n")
    holds, proof = records.alerts((rules,))
    assert holds in ((good, None) if "not installed" in proof else (good,))
    rules.write_text("groups: []\n")
    assert records.alerts((rules,))[0] is False
