"""`longplay release`: a policy's way into a registry, live, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.__main__ import main
from offpolicy import LoggedDataset, write_log
from serving import MemoryLog, Registry, Request, open_engine
from tests.serving.factories import names_of
from tests.serving.registry.factories import VECTORS, A, saved


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "the registry"


def release(*options: object) -> int:
    return main(["release", *map(str, options)])


def answer(capsys: pytest.CaptureFixture[str], *options: object) -> Any:
    capsys.readouterr()
    assert release(*options, "--json") == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def error(capsys: pytest.CaptureFixture[str], *options: object) -> str:
    capsys.readouterr()
    assert release(*options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_arms_are_listed_and_a_rollback_stops_the_canary(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Registry(registry)
    a, b, c = [found.add(saved(tmp_path, nth)) for nth in range(3)]
    found.promote(a)
    found.canary(b, weight=0.05, rollout="try", salt="s")
    found.shadow(c)
    assert release("list", "--registry", registry) == 0
    rows = capsys.readouterr().out.splitlines()
    marks = [(a, "live"), (b, "canary 5%"), (c, "shadow")]
    assert all(row.startswith(version) for row, (version, _) in zip(rows[1:], marks, strict=True))
    assert all(mark in row for row, (_, mark) in zip(rows[1:], marks, strict=True))
    assert release("rollback", "--registry", registry) == 0
    assert f"the canary is stopped; {a} serves all users" in capsys.readouterr().out
    assert found.pointer().canary is None


def test_a_policy_goes_live_and_back(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = tmp_path / "items.txt"
    items.write_text("\n".join(names_of(A)))
    given = ("--registry", registry, "--catalogue", items)
    assert release("add", saved(tmp_path, 0), *given, "--note", "by counts") == 0
    said = capsys.readouterr().out
    a = said.split()[0]
    assert f"next: longplay release promote {a} --registry '{registry}'" in said
    assert "Constrained > ScorePolicy > Popularity" in said
    assert "3 of 8 candidates, 24 items, history of 4" in said
    assert "note: the items are named" not in said
    assert release("promote", a[:5], "--registry", registry, "--by", "ann") == 0
    assert f"{a} is live; before: nothing" in capsys.readouterr().out
    record = answer(capsys, "add", saved(tmp_path, 1), *given, "--promote", "--fallback",
                    *names_of(A)[:4], "--by", "bob")  # fmt: skip
    b = record["version"]
    assert record["pointer"]["live"] == b
    assert Registry(registry).pointer().fallback == tuple(names_of(A)[:4])

    table = answer(capsys, "list", "--registry", registry)
    assert [v["version"] for v in table["versions"]] == [a, b]
    assert (table["pointer"]["live"], table["pointer"]["previous"]) == (b, a)
    assert release("list", "--registry", registry) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[:2] for row in rows[1:]] == [[a, "previous"], [b, "live"]]
    assert "by counts" in rows[1]

    assert release("rollback", "--registry", registry, "--by", "eve", "--why", "slow") == 0
    assert f"{a} is live again; {b} is not" in capsys.readouterr().out
    assert "nothing to roll back to" in error(capsys, "rollback", "--registry", registry)
    assert release("show", "live", "--registry", registry) == 0
    said = capsys.readouterr().out
    assert said.startswith(a)
    assert [line.split()[2] for line in said.splitlines()[-3:]] == [
        "rollback",
        "promote",
        "promote",
    ]
    assert "slow" in said
    shown = answer(capsys, "show", b[:4], "--registry", registry)
    assert [c["by"] for c in shown["history"]] == ["bob", "eve"]
    assert release("promote", a, "--registry", registry) == 0
    assert f"{a} is live already" in capsys.readouterr().out
    engine = open_engine(Registry(registry), MemoryLog())
    asked = Request(request_id="r", user="u", session="s", context=(0.0,))
    assert engine.decide(asked).policy == a


def test_items_are_named_by_the_log_or_beside_the_policy_or_by_numbers(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = saved(tmp_path / "model", 0)
    first = answer(capsys, "add", policy, "--registry", registry)
    assert "give --catalogue FILE" in first["notes"][0]
    (policy.parent / "items.txt").write_text("\n".join(names_of(A)))
    beside = answer(capsys, "add", policy, "--registry", registry)
    assert "items.txt" in beside["notes"][0]
    log = LoggedDataset.from_columns(
        session=np.arange(50), step=np.zeros(50, int), slate=np.arange(50) % A,
        propensity=np.full(50, 1 / A), reward=np.ones(50), n_items=A,
        item_names=[f"log {i}" for i in range(A)],
    )  # fmt: skip
    write_log(log, tmp_path / "log")
    of_log = answer(capsys, "add", policy, "--registry", registry, "--log", tmp_path / "log")
    assert of_log["log"] == {"name": "log", "rows": 50, "sessions": 50, "hash": log.hash()}
    names = [
        Registry(registry).load(one["version"], warmed=False).catalogue.names
        for one in (first, beside, of_log)
    ]
    assert names == [
        tuple(map(str, range(A))), tuple(names_of(A)), tuple(f"log {i}" for i in range(A))
    ]  # fmt: skip


def test_what_may_surprise_is_said(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate.json"
    verdict = {"candidates": [{"name": "new", "verdict": {"outcome": "cannot tell"}}]}
    gate.write_text(json.dumps(verdict))
    items = tmp_path / "items.json"
    items.write_text(json.dumps(names_of(A)))
    assert release("add", saved(tmp_path), "--registry", registry, "--promote") == 0
    capsys.readouterr()
    added = ("add", saved(tmp_path), "--registry", registry, "--promote", "--catalogue", items)
    assert release(*added, "--gate", gate) == 0
    said = capsys.readouterr().out
    assert "note: the gate's verdict on new was cannot tell" in said
    assert "note: it has other items or sizes: restart servers" in said
    assert release("list", "--registry", registry) == 0
    assert "cannot tell" in capsys.readouterr().out


def test_errors_say_what_to_do(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, there = saved(tmp_path), ("--registry", registry)
    assert "is no registry: longplay release add" in error(capsys, "list", *there)
    assert "Write one with policies.save" in error(capsys, "add", tmp_path / "no", *there)
    assert "--limit-mb" in error(capsys, "add", policy, *there, "--limit-mb", "0.001")
    assert "goes with --promote" in error(capsys, "add", policy, *there, "--fallback", "a")
    assert "and .npy files" in error(capsys, "add", policy, *there, "--retrieval", "x.npy")
    np.save(tmp_path / "v.npy", VECTORS)
    assert release("add", policy, *there, "--retrieval", tmp_path / "v.npy") == 0
    assert "vectors of file" in capsys.readouterr().out
    assert release("add", policy, *there) == 0
    (broken,) = registry.glob(f"versions/{Registry(registry).versions()[0].version}/version.json")
    broken.write_text("{")
    capsys.readouterr()
    assert release("list", *there) == 0
    said = capsys.readouterr().out
    assert f"damaged: {broken} is damaged" in said
    assert len(said.splitlines()) == 3
    assert "is not there; there are" in error(capsys, "promote", "zz", *there)
    assert "no live version" in error(capsys, "show", "live", *there)
    assert release("--help") == 0
    assert "rollback" in capsys.readouterr().out
