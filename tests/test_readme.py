"""The pages are true: the code, commands and files they name exist, their figures were measured."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401  (registers the environments)
from experiments.commands import COMMANDS
from offpolicy import ESTIMATORS, TargetScores, estimate, evaluate, terms
from policies import build, save
from tests.offpolicy.factories import log_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
TEXT = (ROOT / "README.md").read_text()
RECORDS = (RESULTS / "README.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
PACKAGES = ("recsim_env", "policies", "offpolicy", "experiments", "serving")
LINK = r"\]\(([^)#]+)\)"
FIGURE = r"\d+\.\d+"
BY_HAND = ("encoders.md", "improve.md")  # pages with a command for each table


def run_screen(nth: int) -> dict[str, Any]:
    """Names that README's nth block of Python makes."""
    screens = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(screens[nth], "README.md", "exec"), names)
    return names


def test_serving_in_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=2)
    save(build("uniform", env), "saved")
    names = run_screen(1)
    assert len(names["decision"].items) == names["engine"].serving.slate_size
    assert names["engine"].counts["outcomes"] == 1
    assert list((tmp_path / "events").glob("*.open")), "the events are kept"


def test_the_screen_of_python_runs_and_says_what_the_readme_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = run_screen(0)
    out = capsys.readouterr().out
    verdicts = re.findall(r"^(pass|fail|cannot tell): ", out, flags=re.MULTILINE)
    assert verdicts == ["pass", "cannot tell"]
    passed, unknown = (float(x) for x in re.findall(r"is worth (.*)", out))
    uniform = names["log"].reward.sum() / names["log"].n_sessions
    assert uniform < passed < unknown, "the pass was right, and the other one earns more"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "experiments/results/README.md"])
def test_commands_and_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    known = {name.split()[0] for name in COMMANDS}
    assert set(re.findall(r"(?:`|\.venv/bin/)longplay (\w[\w-]*)", text)) <= known
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for link in re.findall(LINK, prose):
        assert ((ROOT / page).parent / link).exists(), link
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w+)", text, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_table_of_the_readme_is_the_one_that_was_measured() -> None:
    (table,) = re.findall(r"(?:^\| (?:policy|uniform).*\n(?:\|.*\n)+)", TEXT, flags=re.MULTILINE)
    assert table.strip() == (RESULTS / "compare" / "table.md").read_text().strip()


def test_every_record_is_listed_with_the_command_that_made_it() -> None:
    rows = [line for line in RECORDS.splitlines() if line.startswith("| [")]
    listed = {link: row for row in rows for link in re.findall(LINK, row) if link.endswith(".md")}
    assert set(listed) == {p.name for p in RESULTS.glob("*.md")} - {"README.md"}
    for name, row in listed.items():
        said = row.split("|")[3].split("`")[1].removesuffix(" ...").removesuffix(" FILE")
        made = (RESULTS / name).read_text().splitlines()[0]
        if name.startswith("open-bandit"):
            said = said.rsplit(maxsplit=1)[0]  # one row for two targets
        assert name in BY_HAND or made.strip("`").startswith(said), name


@pytest.mark.parametrize("section", RECORDS.split("\n## ")[2:], ids=lambda s: s.splitlines()[0])
def test_figures_of_a_section_stand_in_the_records_that_it_cites(section: str) -> None:
    measured: set[str] = set()
    for link in re.findall(LINK, section):
        if link.endswith(".md"):
            measured |= set(re.findall(FIGURE, (RESULTS / link).read_text()))
    assert set(re.findall(FIGURE, section)) <= measured


def test_every_name_of_the_glossary_exists() -> None:
    names = set(re.findall(rf"`((?:{'|'.join(PACKAGES)})\.[\w.]+)`", GLOSSARY))
    assert len(names) > 40
    for name in sorted(names):
        resolve_name(name)  # raises where there is no such module or no such thing in it


def test_the_estimator_of_the_guide_is_run_by_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text().split("## A new estimator")[1]
    monkeypatch.setitem(ESTIMATORS, "bounded_ips", ESTIMATORS["ips"])  # and taken out at the end
    exec(compile(guide.split("```python\n")[1].split("```")[0], "CONTRIBUTING.md", "exec"), {})
    log = log_of(400)
    scores = TargetScores(np.where(log.slate[:, 0] == 0, 0.7, 0.1))
    report = evaluate(log, scores, horizon="one_step", estimators=["ips", "bounded_ips"])
    assert report["bounded_ips"].value.value == pytest.approx(report["ips"].value.value)
    terms_of = terms(log, scores, horizon="one_step")
    assert estimate(terms_of, "bounded_ips", most=1.0).value < report["ips"].value.value / 2


def test_every_command_offers_settings_and_run() -> None:
    for name, command in COMMANDS.items():
        module = import_module(command.module)
        assert callable(module.run), name
        assert module.Settings.__doc__, name
