"""From a user's own file to answers, by commands alone: each takes what the one before it wrote."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.__main__ import main
from policies.adapters import named

USERS, TRACKS, LENGTH = 44, 30, 8


def longplay(line: str) -> int:
    return main(shlex.split(line))


@pytest.fixture
def plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """user_id,track_id,played_at,completed: users walk on from where they began, with leaps."""
    rng = np.random.default_rng(0)
    with (tmp_path / "plays.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user_id", "track_id", "played_at", "completed"])
        for u in range(USERS):
            track = int(rng.integers(TRACKS))
            for t in range(LENGTH):
                track = (track + int(rng.choice([1, 2, 11]))) % TRACKS
                stamp = f"2024-03-{t + 1:02d}T10:{u:02d}:00Z"
                out.writerow([f"u_{u}", f"trk_{track}", stamp, str(bool(track % 3)).lower()])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_csv_of_plays_leads_to_a_compared_policy_that_recommends_by_id(
    plays: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = "--data plays.csv --columns plays.yaml"
    small = "--users 8 --sessions 8 --test-sessions 8 --rounds 1 --steps 256 --no-tensorboard"
    few = "--warm-sessions 12 --train-sessions 12 --log-sessions 20 --truth-sessions 8"
    assert longplay("inspect plays.csv --out plays.yaml") == 0
    assert longplay(f"train-encoder {data} --model markov --out encoder") == 0
    assert longplay(f"leaderboard {data} --models markov --out board") == 0
    assert longplay(f"calibrate {data} --take-rate 0.3 --dims 3 --simulated 20 --out world") == 0
    assert "A session is worth" in capsys.readouterr().out
    learn = f"train-policy --env world --encoder encoder --policy ppo {small}"
    assert longplay(f"{learn} --env-set max_steps=5 --out ppo") == 0
    (run,) = Path("ppo").iterdir()
    rows = f"compare --env world --encoder encoder --policies uniform linucb ppo={run}"
    assert longplay(f"{rows} {few} --max-steps 4 --curve-sessions 2 --rounds 1 --users 8 "
                    "--min-ess 5 --executor serial --out compared") == 0  # fmt: skip
    told = capsys.readouterr().out
    assert all(name in told for name in ("uniform", "linucb", "ppo"))
    assert longplay(f"recommend --policy {run} {data} --user u_7 -k 3 --json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert {row["item"] for row in answer["items"]} <= {f"trk_{i}" for i in range(TRACKS)}


def test_a_saved_encoder_of_other_items_is_refused_before_anything_is_run(
    plays: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapped = "--columns user=user_id item=track_id timestamp=played_at"
    assert longplay(f"train-encoder --data plays.csv {mapped} --model markov --out encoder") == 0
    assert longplay("train-policy --policy ppo --encoder encoder --out runs") == 2
    assert "encoder was trained on 30 items and the world has" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_world_of_the_data_is_trained_in(plays: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapped = "--columns user=user_id item=track_id timestamp=played_at reward=completed"
    sizes = "--env-set slate_size=2 n_candidates=6 max_steps=3 --users 8 --sessions 8"
    small = f"{sizes} --test-sessions 8 --rounds 1 --steps 64 --no-tensorboard"
    learn = f"train-policy --policy linucb --data plays.csv {mapped} {small} --out runs"
    assert longplay(learn) == 0
    assert "linucb in Longplay-v0 on plays.csv" in capsys.readouterr().out
    (run,) = Path("runs").iterdir()
    assert len((run / "items.txt").read_text().split()) == TRACKS
    assert longplay(f"train-policy --policy linucb {mapped}") == 2
    assert "--columns names the columns of --data" in capsys.readouterr().err


OWN = """
def flat_with_a_taste(observation):
    out = __import__("numpy").ones((len(observation), 12))
    out[:, :6] = 1.2
    return out
"""


@pytest.fixture
def slates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Uniform slates of 2 of 12 articles, shuffled, as Parquet and CSV; a policy in one file."""
    rng = np.random.default_rng(1)
    rows = []
    for s in range(700):
        for t in range(2):
            shown = [f"art_{i}" for i in rng.permutation(12)[:2]]
            clicked = [a for a in shown if rng.random() < (0.5 if a in ("art_0", "art_3") else 0.2)]
            stamp = f"2024-05-{s % 28 + 1:02d}T10:0{t}:00+00:00"
            rows.append((f"s-{s:04d}", stamp, shown, clicked, 1 / 132))
    rng.shuffle(rows)  # type: ignore[arg-type]
    names = ("visit_id", "shown_at", "rank_list", "clicked_list", "prob")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    lists = {name: [list(x) for x in columns[name]] for name in names[2:4]}
    prob = [float(p) for p in columns["prob"]]
    pq.write_table(pa.table(columns | lists | {"prob": prob}), tmp_path / "slates.parquet")
    with (tmp_path / "slates.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(names)
        out.writerows([r[0], r[1], json.dumps(list(r[2])), json.dumps(list(r[3])), r[4]]
                      for r in rows)  # fmt: skip
    (tmp_path / "ours_here.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(named.VARIABLE, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path  # type: ignore[misc]
    named.IMPORTED.pop("ours_here", None)
    sys.modules.pop("ours_here", None)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_foreign_slates_are_checked_evaluated_and_judged(
    slates: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = f"slates.{form} --columns session=visit_id time=shown_at slate=rank_list "
    table += "propensity=prob clicked=clicked_list"
    assert longplay(f"check {table}") == 0
    assert "\nPASS: " in capsys.readouterr().out
    judged = "--target ours_here:flat_with_a_taste --horizon per_decision"
    assert longplay(f"evaluate {table} {judged} --out value") == 0
    assert json.loads(Path("value/report.json").read_text())["horizon"] == "per_decision"
    assert longplay(f"gate {table} {judged}") in (0, 1, 3)
    assert "ours_here:flat_with_a_taste: " in capsys.readouterr().out
    assert longplay(f"evaluate {table} {judged} --target-scores x.npy") == 2
    assert "name one thing" in capsys.readouterr().err
