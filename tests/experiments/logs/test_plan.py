"""`longplay plan`: from a log, in the user's own columns too, to three ways on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.__main__ import main
from offpolicy import write_log
from policies import build, collect, save
from tests.factories import make_env


def test_a_foreign_log_and_a_file_of_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    song = rng.choice(["aria", "fugue"], 1800)
    table = pd.DataFrame(
        {
            "visit": np.repeat(np.arange(600), 3),
            "nth": np.tile([0, 1, 2], 600),
            "song": song,
            "p": 0.5,
            "minutes": np.where(song == "aria", 2.0, 1.0) + rng.normal(0, 1, 1800),
            "listener": np.repeat(np.arange(200), 9),
        }
    )
    table.to_csv(tmp_path / "log.csv", index=False)
    scores = pd.DataFrame({"propensity": np.where(song == "aria", 0.9, 0.1)})
    scores.to_csv(tmp_path / "target.csv", index=False)
    command = [
        "plan", str(tmp_path / "log.csv"), "--target", str(tmp_path / "target.csv"), "--columns",
        "session=visit", "step=nth", "slate=song", "propensity=p", "reward=minutes",
        "user=listener", "--margin", "0.5", "--min-ess", "150", "--out", str(tmp_path / "p.json"),
    ]  # fmt: skip
    assert main(command) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    for words in (
        "uplift is +0.5 a session",
        "A step",
        "A better log",
        "of users",
        "| the present",
    ):
        assert words in out, words
    plan = json.loads((tmp_path / "p.json").read_text())
    assert plan["margin"] == 0.5
    assert plan["unit"] == "user"
    assert main([*command, "--margin", "-1"]) == 2
    assert "margin" in capsys.readouterr().err


def test_saved_policies_add_the_geometric_path_and_other_loggers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = make_env(max_steps=4)
    now = build("top_rated", env, temperature=8.0)
    log = collect(env, build("uniform", env), n_sessions=300, seed=0)
    now.update(log)
    served = collect(env, now, n_sessions=1200, seed=1)
    target = build("top_rated", env, temperature=0.5)
    target.update(served)
    write_log(served, tmp_path / "log")
    save(now, tmp_path / "now")
    save(target, tmp_path / "target")
    command = ["plan", str(tmp_path / "log"), "--target", str(tmp_path / "target")]
    assert main(command) == 0, capsys.readouterr().err
    assert "geometric" not in capsys.readouterr().out
    more = ["--serving", str(tmp_path / "now"), "--out", str(tmp_path / "p.json")]
    assert main([*command, *more]) == 0
    assert "geometric path" in capsys.readouterr().out
    names = [x["logger"] for x in json.loads((tmp_path / "p.json").read_text())["loggers"]]
    for words in ("at temperature 4", "at temperature 16", "with epsilon 0.1"):
        assert any(words in name for name in names), words
    sure = build("top_rated", env, temperature=None)
    sure.update(served)
    save(sure, tmp_path / "sure")
    assert main([*command[:-1], str(tmp_path / "sure"), *more]) == 0
    out, err = capsys.readouterr()
    assert "leaves the geometric path out: the target shows its best items surely" in err
    assert "geometric" not in out
    assert "A better log" in out
