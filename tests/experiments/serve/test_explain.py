"""`longplay explain`: decisions of an event log and typed histories, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.serve.explain import Settings, run
from policies import Banned, build, constrained, save
from serving import Catalogue, Decision, MemorySessions, Outcome, Request, SegmentLog
from serving.registry.opening import open_engine
from serving.registry.registry import Registry
from tests.factories import make_serving

A = 12
NAMES = tuple(f"song {i}" for i in range(A))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Decision]]:
    """A registry and an event log: two decisions by a first version, one by a second."""
    folder = tmp_path_factory.mktemp("served")
    registry, events = Registry(folder / "registry"), SegmentLog(folder / "events")
    sessions, decisions = MemorySessions(), []
    for n, temperature in enumerate((1.0, 3.0)):
        sizes = make_serving(A, user_size=0)
        policy = build("popularity", sizes, temperature=temperature, epsilon=0.1)
        rules = Banned("recalled", np.arange(A) == 2)
        save(constrained(policy, rules), folder / f"policy {n}")
        version = registry.add(folder / f"policy {n}", catalogue=Catalogue(NAMES))
        registry.promote(version)
        engine = open_engine(registry, events, sessions)
        for i in range(2 - n):
            request = Request(request_id=f"{n}/{i}", user="ann", session=f"s{n}")
            decisions.append(engine.decide(request))
            item, responses = decisions[-1].items[0], {"click": 1.0}
            told = {"decision_id": f"{n}/{i}", "user": "ann", "kind": "taken", "item": item}
            engine.outcome(Outcome(outcome_id=f"{n}/{i}", responses=responses, **told))
    return folder, decisions


def test_a_decision_is_explained_by_the_version_that_decided(
    served: tuple[Path, list[Decision]], capsys: pytest.CaptureFixture[str]
) -> None:
    """While its writer has the log open."""
    folder, decisions = served
    for decision in decisions:
        where = ["--registry", f"{folder}/registry", "--events", f"{folder}/events"]
        assert main(["explain", *where, "--decision", decision.decision_id, "--json"]) == 0
        why = json.loads(capsys.readouterr().out)
        assert why["policy"] == decision.policy
        assert why["propensity"] == pytest.approx(decision.propensity, rel=1e-9)
        assert why["notes"] == []
        assert [c["weight"] for c in why["components"]] == [0.9, 0.1]
        [closed] = [c for c in why["candidates"] if c["closed"]]
        assert (closed["item"], closed["closed"]["rule"]) == ("song 2", "recalled")
    assert len({d.policy for d in decisions}) == 2
    assert len(why["history"]) == 2


def test_a_typed_history_is_explained_by_the_live_version_or_another(
    served: tuple[Path, list[Decision]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, decisions = served
    settings = Settings(registry=folder / "registry", history=("song 1", "song 7"), top=3)
    assert run(settings) == 0
    live = capsys.readouterr().out
    assert f"Policy {decisions[-1].policy} on the history typed in." in live
    assert "(over temperature 3)" in live
    assert "... and 8 more candidates" in live
    assert "song 2: rule 'recalled', nobody may be shown this item." in live
    assert run(replace(settings, version="previous")) == 0
    assert f"Policy {decisions[0].policy} on the history" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "give either --decision ID with --events, or --history ITEM"),
        (["--decision", "0/0"], "--decision needs --events"),
        (["--decision", "what", "--events", "{d}/events"], "holds no decision 'what'"),
        (["--decision", "0/0", "--events", "{d}/nowhere"], "there is no such folder"),
        (["--decision", "0/0", "--events", "{d}/events", "--context", "1"], "go with --history"),
        (["--history", "what"], "history has 1 items not in the catalogue: 'what'"),
        (["--history", "song 1", "--version", "zz"], "zz"),
    ],
)
def test_bad_options_are_explained(
    served: tuple[Path, list[Decision]],
    given: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = served
    options = [one.format(d=folder) for one in given]
    assert main(["explain", "--registry", f"{folder}/registry", *options]) == 2
    assert says in capsys.readouterr().err
