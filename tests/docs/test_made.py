"""Pages that are made say what the code and the records say."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest

import offpolicy
import policies
import recsim_env
import serving
from experiments.__main__ import main
from experiments.commands import COMMANDS
from recsim_env.model import load_model
from tests.docs.pages import ROOT, made

RECORDS = (
    offpolicy.LoggedDataset,
    offpolicy.TargetScores,
    policies.Observation,
    policies.Serving,
)


@pytest.mark.parametrize("command", ["recommend", "benchmark env", "release"])
def test_a_page_of_a_command_is_its_help(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out.rstrip()
    assert f"```text\n{said}\n```" in made()[f"commands/{command.replace(' ', '-')}.md"]


def test_every_command_has_a_page_and_every_subcommand_a_section() -> None:
    for name in COMMANDS:
        page = made()[f"commands/{name.replace(' ', '-')}.md"]
        assert f"usage: longplay {name} " in page
        assert f"]({name.replace(' ', '-')}.md)" in made()["commands/index.md"]
    assert "## release promote" in made()["commands/release.md"]
    assert "usage: longplay trial plan" in made()["commands/trial.md"]


@pytest.mark.parametrize("name", recsim_env.USERS)
def test_a_page_of_a_world_has_its_settings_source_and_gap(name: str) -> None:
    page, config = made()[f"worlds/{name}.md"], load_model(recsim_env.USERS[name]).config
    for field in fields(config):
        assert f"| `{field.name}` |" in page
    assert re.search(r"\b(19|20)\d\d\b", page), "a source with its year"
    rows = [r for r in measured() if r.startswith(f"| {name} |")]
    assert rows or "None is recorded" in page
    assert all(row in page for row in rows)
    assert all(row.split("|")[-2].strip() in made()["worlds/index.md"] for row in rows)
    assert "def score(" in page


def measured() -> list[str]:
    return (ROOT / "experiments" / "results" / "planning.md").read_text().splitlines()


@pytest.mark.parametrize("package", [recsim_env, policies, offpolicy, serving])
def test_the_reference_names_all_that_a_package_offers(package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    page = made()[f"reference/{name}.md"]
    listed = re.findall(rf"^::: {name}\.(\w+)$", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(listed))
    offered = {n for n in package.__all__ if n != "checkpoint"}  # type: ignore[attr-defined]
    assert set(listed) == offered, "checkpoint is a module"


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_every_field_of_a_shared_record_is_explained(record: type) -> None:
    from pages.comments import comment_of

    lines = inspect.getsource(record).splitlines()
    for field in fields(record):
        at = next(i for i, line in enumerate(lines) if line.startswith(f"    {field.name}: "))
        assert len(comment_of(lines, at + 1) or "") > 20, field.name


def test_a_comment_behind_a_field_explains_it() -> None:
    from pages.comments import comment_of

    lines = [
        "class A:",
        "    x: int = 3  # how many",
        "    y: str",
        "    z: F64  # (N,) a",
        "    # b",
    ]
    assert comment_of(lines, 2) == "how many"
    assert comment_of(lines, 3) is None
    assert comment_of(lines, 4) == "(N,) a b"
    assert comment_of(["    x: int  # one", "    # Another matter."], 1) == "one"


def test_links_of_a_moved_page_lead_where_they_led() -> None:
    from pages.links import moved

    text = "[a](docs/glossary.md#b) [b](Makefile) [c](#here) ![p](experiments/results/climb.png)"
    assert moved(text, "CONTRIBUTING.md") == (
        "[a](glossary.md#b) b [c](#here) ![p](results/climb.png)"
    )
    assert moved(
        "[r](compare.md) [d](../../docs/glossary.md)", "experiments/results/README.md"
    ) == ("[r](compare.md) [d](../glossary.md)")
