"""What the table generates: the committed files, promtool's verdict, names that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from experiments.__main__ import COMMANDS
from serving.http.running import running
from serving.metrics.estimates import Estimate
from serving.metrics.signals import READINGS, TABLE
from serving.metrics.slis import indicators
from serving.metrics.text.watched import watched_text
from serving.signals.alertmanager import alertmanager_config
from serving.signals.dashboards import dashboards
from serving.signals.promtool import names_of, rule_tests
from serving.signals.rules import BURNS, AlertRule, alert_rules, recordings, rule_file
from serving.signals.runbook import SECTIONS, runbook
from serving.signals.writing import files
from tests.serving.page.factories import shop
from tests.serving.servers import missing

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations"


def tool(name: str) -> str:
    """The path of a program, or the test is skipped."""
    path = shutil.which(name)
    return path or missing(f"there is no {name} on PATH: apt-get install prometheus")


def run(*command: str | Path, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


def names_in(expr: str) -> set[str]:
    """Names of series in an expression: words that are neither functions, operators nor labels."""
    bare = re.sub(r"\{[^}]*\}", " ", expr)
    bare = re.sub(r"\[[^\]]*\]|\boffset\s+\w+", " ", bare)
    bare = re.sub(r"\b(?:by|on|ignoring|group_left|group_right|without)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"(?<![\w.])[A-Za-z_][A-Za-z0-9_:]*(?!\w)(?!\s*\()", bare)
    return {w for w in words if w not in ("and", "or", "unless", "sum", "max", "count")}


def test_names_are_read_out_of_expressions() -> None:
    found = names_in(
        'sum by (a, b) (rate(x_total{l=~"p|q"}[5m])) / on (a) group_left () (0.5 * y:z offset 1d) '
        "and histogram_quantile(0.95, sum by (le) (h_bucket)) unless absent(w) > 1e3"
    )
    assert found == {"x_total", "y:z", "h_bucket", "w"}


def test_committed_files_are_those_of_the_table() -> None:
    """When this fails: longplay signals --out docs/operations."""
    made = files()
    there = {str(path.relative_to(OPERATIONS)) for path in OPERATIONS.rglob("*") if path.is_file()}
    assert there == made.keys()
    for name, content in made.items():
        assert (OPERATIONS / name).read_text() == content, f"{name} is not what the table says"


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    for what in (("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml")):
        code, said = run(tool("promtool"), *what, cwd=OPERATIONS)
        assert code == 0, said


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    tests = [test for body in rule_tests("alerts", "alerts.yml").values() for test in body["tests"]]
    names = {rule.name for rule in alert_rules()}
    assert names_of(tests) == names
    assert len(names) == len(alert_rules())
    judged = {sli.name for _, sli in indicators(TABLE) if sli.alert is not None}
    assert {rule.sli.name for rule in alert_rules()} == judged


def test_alerts_fire_with_their_fault_and_are_silent_without(tmp_path: Path) -> None:
    """The committed tests, each beside its own rule alone: promtool evaluates every rule of a file
    for every test in it, and no test asks for the alert of another rule."""
    code, said = verdict(*(written(rule, rule.expr, tmp_path) for rule in alert_rules()))
    assert code == 0, said


@pytest.mark.parametrize(
    "name", ["LongplaySuccessBurnsFast", "LongplayViolations", "LongplayMeanWeight",
             "LongplayRestarts", "LongplayWatchSilent", "LongplayLatencyP95"]
)  # fmt: skip
def test_promtool_sees_an_alert_that_is_broken(name: str, tmp_path: Path) -> None:
    """Each test passes with its own rule, and fails where the rule can no longer fire."""
    rule = next(one for one in alert_rules() if one.name == name)
    never, always = f"({rule.expr}) and on () vector(1) < 0", f"({rule.expr}) or vector(1)"
    for expr, wanted in ((rule.expr, 0), (never, 1), (always, 1)):
        code, said = verdict(written(rule, expr, tmp_path))
        assert code == wanted, said
        assert "FAILED" in said or code == 0, said


def verdict(*tests: Path) -> tuple[int, str]:
    return run(tool("promtool"), "test", "rules", *tests, cwd=OPERATIONS)


def written(rule: AlertRule, expr: str, folder: Path) -> Path:
    """An alert's committed test in a file, beside that alert alone, whose expression is `expr`."""
    [(body, test)] = [
        (body, test)
        for body in rule_tests("alerts", "alerts.yml").values()
        for test in body["tests"]
        if test["name"] == rule.name
    ]
    assert {check["alertname"] for check in test["alert_rule_test"]} == {rule.name}
    recorded = [one.body() for one in recordings() if one.record in rule.expr]
    groups = [
        {"name": "longplay-recordings", "rules": recorded},
        {"name": "longplay-alerts", "rules": [rule.body() | {"expr": expr}]},
    ]
    rules, made = folder / f"{rule.name}.yml", folder / f"{rule.name}_test.yml"
    rules.write_bytes(msgspec.yaml.encode({"groups": groups}))
    made.write_bytes(msgspec.yaml.encode(body | {"rule_files": [rules.name], "tests": [test]}))
    return made


def test_burn_rates_spend_what_the_workbook_says() -> None:
    """Of a budget for 30 days: 2 % in an hour, 5 % in six, 10 % in three days."""
    hours = {"1h": 1, "6h": 6, "3d": 72}
    spent = [round(burn.factor * hours[burn.long] / 720, 6) for burn in BURNS]
    assert spent == [0.02, 0.05, 0.1]


def test_alerts_are_labelled_and_say_what_to_do() -> None:
    for group in rule_file("https://wiki/RUNBOOK.md")["groups"][1:]:
        for rule in group["rules"]:
            by = re.search(r"by \(([^)]*)\)", rule["expr"])
            labels = {*rule["labels"], *(by[1].split(", ") if by else ())}
            if ":" in rule["expr"]:  # of a recording
                made = next(one for one in recordings() if one.record in rule["expr"])
                labels |= {*re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", made.expr)))}
            assert labels >= {"severity", "measure", "version", "pipeline"}, rule["alert"]
            said = rule["annotations"]
            assert said.keys() == {"summary", "description", "what_to_do", "runbook_url"}
            assert said["runbook_url"].startswith("https://wiki/RUNBOOK.md#")
            assert rule["labels"]["severity"] in ("page", "ticket")


def test_alertmanager_groups_and_silences_tickets() -> None:
    config = alertmanager_config()
    routes = [config["route"], *config["route"]["routes"]]
    assert all(route["group_by"] == ["pipeline", "version"] for route in routes)
    assert {route["receiver"] for route in routes} == {r["name"] for r in config["receivers"]}
    assert config["inhibit_rules"][0]["equal"] == ["pipeline", "version", "measure"]
    if shutil.which("amtool"):
        code, said = run("amtool", "check-config", "alertmanager.yml", cwd=OPERATIONS)
        assert code == 0, said


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """Names of all series of a running server and of a watch."""
    readings = {
        (signal.name, "canary" if signal.label else ""): Estimate(1.0, 9, 0.5, 1.5)
        for signal in READINGS
    }
    with running(shop()) as url, urllib.request.urlopen(f"{url}/metrics") as answer:
        texts = answer.read().decode(), watched_text(readings, {"canary": "v2"}).decode()
    return {
        sample.name
        for text in texts
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_name_of_dashboards_and_rules_exists(exposed: set[str]) -> None:
    """In /metrics of a running server, in the text of a watch, or as a recorded rule."""
    recorded = {one.record for one in recordings()}
    used = {
        name
        for board in dashboards().values()
        for panel in board["panels"]
        for target in panel["targets"]
        for name in names_in(target["expr"])
    }
    assert len(used) > 40
    assert used - exposed - recorded == {"ALERTS"}
    assert "longplay_" + "nothing" not in exposed
    for rule in (*recordings(), *alert_rules()):
        assert names_in(rule.expr) <= exposed | recorded, rule.expr


def test_every_series_of_the_table_is_on_the_debug_board(exposed: set[str]) -> None:
    shown = json.dumps(dashboards()["debug.json"])
    for signal in TABLE:
        assert signal.name in shown
    for board in dashboards().values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len({*ids}) == len(ids)
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
        assert len({*places}) == len(places)


def test_the_runbook_has_every_alert_and_real_commands() -> None:
    text = runbook()
    anchors = {*re.findall(r'<a id="([^"]+)">', text)}
    assert anchors == {section.anchor for section in SECTIONS}
    assert {*re.findall(r"\]\(#([^)]+)\)", text)} <= {
        *anchors, "all-signals", "what-feeds-the-readings",
    }  # fmt: skip
    for rule in alert_rules():
        assert rule.alert.runbook in anchors, rule.name
        assert f"`{rule.name}` ({rule.severity}" in text
    for section in SECTIONS:
        assert [rule for rule in alert_rules() if rule.alert.runbook == section.anchor], section
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    said = re.findall(r"^longplay ([a-z-]+)", "".join(blocks), re.MULTILINE)
    assert len(said) > 30
    said += re.findall(r"longplay ([a-z-]+)", "".join(re.findall(r"```cron\n(.*?)```", text, re.S)))
    assert {*said} <= COMMANDS.keys()
    needed = "stale drift rollback breach loss latency poisoning cold"
    assert all(any(word in anchor for anchor in anchors) for word in needed.split())


def test_yaml_reads_as_what_was_meant() -> None:
    """Durations and comparisons stay text, and no rule is lost on the way."""
    read: Any = msgspec.yaml.decode(files()["alerts.yml"])
    assert read == rule_file()
