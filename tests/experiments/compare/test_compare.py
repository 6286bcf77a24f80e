"""The main job end to end at a small size: run folder, resume, page, notebook, errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.common.pictures import COLOURS
from experiments.common.tables import text_table
from experiments.common.truth import Mean, mean
from experiments.compare.candidates import default_candidates
from experiments.compare.page import answer
from experiments.compare.report import bounds, spread, summary
from experiments.compare.row import holds, right
from offpolicy import Outcome, read_log
from tests.experiments.page.checks import faults, rows_of

ROOT = Path(__file__).resolve().parents[3]
SIZES = {
    "warm-sessions": 60, "train-sessions": 60, "log-sessions": 80, "truth-sessions": 60,
    "curve-sessions": 20, "rounds": 1, "env-steps": 1000, "users": 32, "max-steps": 6,
    "workers": 1, "encoder": "markov",
}  # fmt: skip
SMALL = [word for name, value in SIZES.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results")
    assert main(["compare", *SMALL, "--out", str(out)]) == 0
    (folder,) = out.iterdir()
    return folder


def test_the_run_folder_explains_itself(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    rows = {row["policy"]: row for row in report["policies"]}
    assert set(rows) >= {
        "uniform",
        "popularity",
        "greedy encoder",
        "top rated",
        "greedy reward",
        "LinUCB",
        "item return",
        "searched rule",
        "one-step",
        "fitted Q",
        "PPO",
    }
    assert report["estimand"].startswith("Value: expected return of a session")
    estimators = {e["estimator"] for row in rows.values() for e in row["estimates"]}
    assert estimators >= {
        "ips", "clipped_ips", "snips", "dm", "dr", "sndr", "pdis", "snpdis", "seq_dr",
    }  # fmt: skip
    settings = json.loads((run / "settings.json").read_text())
    assert settings["settings"]["log_sessions"] == 80
    assert settings["made"]["versions"]["longplay"]
    assert {row["policy"] for row in report["curves"]} >= {"LinUCB", "PPO"}


def test_the_logs_are_the_logging_policys_and_whole(run: Path) -> None:
    log = read_log(run / "logs" / "log")
    assert log.n_sessions == 80
    assert set(log.logger if log.logger is not None else ()) == {"logging policy"}
    last = np.append(np.flatnonzero(np.diff(log.sessions)), len(log) - 1)
    assert (log.terminated | log.truncated)[last].all()


def test_the_page_is_self_contained(run: Path) -> None:
    text = (run / "report.html").read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert {"Estimates against truth", "Learning", "Where the reward comes from"} <= set(titles)
    assert {f.name for f in run.glob("*.png")} == {"estimates.png", "learning.png", "steps.png"}
    assert faults(text) == []
    assert "cannot tell" in text


def test_the_page_shows_verdict_value_and_interval_of_every_row(run: Path) -> None:
    rows = json.loads((run / "report.json").read_text())["policies"]
    (head, *cells) = rows_of((run / "report.html").read_text(), "policy")
    assert head[:4] == ["policy", "verdict", "in the world", "true uplift"]
    assert [cell[:2] for cell in cells] == [[row["policy"], row["verdict"]] for row in rows]
    for cell, row in zip(cells, rows, strict=True):
        value, uplift = row["truth"], row["true_uplift"]
        told = dict(zip(head, cell, strict=True))
        world = f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
        assert told["in the world"] == world
        assert told["true uplift"].startswith(f"{uplift['value']:+.2f} [")
        assert (told["estimate"] == "-") == (row["ess"] < 100), "no untrusted estimate is shown"
        assert "[" in told["regret"]


def test_what_to_ship_is_the_first_thing_said() -> None:
    mean = {"value": 2.0, "low": 1.0, "high": 3.0}
    row = {
        "policy": "mine", "verdict": "pass", "right": "right", "truth": mean, "true_uplift": mean,
        "estimate": mean, "uplift": mean, "ess": 900.0, "sessions": 1000,
    }  # fmt: skip
    better = row | {"policy": "surer", "uplift": mean | {"low": 1.5}}
    plan = {"goal": "to see it", "lines": ["a trial of 10 sessions"]}
    far = row | {
        "policy": "far", "verdict": "cannot tell", "right": "no verdict", "ess": 3.0, "plan": plan,
        "truth": mean | {"value": 9.0},
    }  # fmt: skip
    assert "Ship surer: by the log it earns 2.00 [1.00, 3.00]" in answer([row, better], 100)
    said = answer([row, far], 100)
    assert "far earned most in the world, 9.00 [1.00, 3.00]" in said
    assert "a trial of 10 sessions" in said
    assert "Ship none of these yet" in answer([far], 100)
    assert "Keep the " in answer([row | {"verdict": "fail"}], 100)


def test_a_killed_run_goes_on_where_it_stopped(run: Path, tmp_path: Path) -> None:
    before = json.loads((run / "report.json").read_text())
    (run / "report.json").unlink()
    (run / "stages" / "candidate-linucb.json").unlink()
    untouched = (run / "stages" / "candidate-ppo.json").stat().st_mtime_ns
    assert main(["compare", *SMALL, "--out", str(run.parent), "--resume", str(run)]) == 0
    assert json.loads((run / "report.json").read_text()) == before
    assert (run / "stages" / "candidate-ppo.json").stat().st_mtime_ns == untouched


def test_resuming_under_other_settings_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [*SMALL, "--seed", "3", "--out", str(run.parent), "--resume", str(run)]
    assert main(["compare", *other]) == 2
    assert "started with other settings (seed)" in capsys.readouterr().err


def test_the_notebook_reads_the_run(run: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "nbconvert", "--to", "html", "--execute",
        "--output-dir", str(tmp_path), str(ROOT / "notebooks" / "reward_curves.ipynb"),
    ]  # fmt: skip
    env = os.environ | {"LONGPLAY_RUN": str(run), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, capture_output=True, env=env, cwd=tmp_path)
    page = (tmp_path / "reward_curves.html").read_text()
    assert page.count("data:image/png;base64,") >= 3


def test_notebooks_are_kept_without_output() -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert all(not c.get("outputs") and c.get("execution_count") is None for c in cells), path


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--slate-size", "30"], "a slate of 30 from 20 items must repeat one"),
        (["--policies", "best"], "no row 'best'; there are 'uniform'"),
        (["--encoder", "gpt"], "no encoder 'gpt'; there are"),
        (["--data", "ml-100k", "--data-root", "/nowhere"], "/nowhere"),
        (["--resume", "/nowhere"], "no run folder"),
    ],
)
def test_bad_settings_are_one_paragraph_and_status_2(
    args: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *args, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir()), "nothing half-made is left behind"


def test_unknown_commands_list_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    assert "there is no command 'dance'" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "compare" in capsys.readouterr().out


def test_a_verdict_is_right_wrong_or_open() -> None:
    up, down, none = Mean(1, 0.5, 1.5), Mean(-1, -1.5, -0.5), Mean(0.1, -0.4, 0.6)
    assert right(Outcome.PASS, up, 0.0) == right(Outcome.FAIL, down, 0.0) == "right"
    assert right(Outcome.PASS, down, 0.0) == right(Outcome.FAIL, up, 0.0) == "WRONG"
    assert right(Outcome.PASS, none, 0.0) == "open"
    assert right(Outcome.UNDECIDED, up, 0.0) == "no verdict"


def test_truths_are_means_with_normal_intervals() -> None:
    m = mean(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 1.959964 * np.sqrt(5 / 3) / 2
    assert (m.value, m.low, m.high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-6)
    assert holds(1.0, 2.5, Mean(2.5, 2.0, 3.0))
    assert not holds(1.0, 2.4, Mean(2.5, 2.0, 3.0))


def test_the_table_says_what_cannot_be_trusted() -> None:
    interval = {"value": 2.0, "low": 1.0, "high": 3.0}
    row = {
        "policy": "p", "truth": interval, "true_uplift": interval, "estimator": "seq_dr",
        "estimate": interval, "holds_truth": True, "ess": 7.0, "sessions": 90,
        "verdict": "cannot tell", "right": "no verdict", "coverage": 0.5,
    }  # fmt: skip
    (thin,) = summary([row])
    (thick,) = summary([row | {"ess": 700.0}])
    assert (thin["estimate"], thin["holds truth"]) == ("-", "-")
    assert (thick["estimate"], thick["holds truth"]) == ("2.00 [1.00, 3.00]", "yes")
    assert thick["true uplift"] == "+2.00 ± 1.00" == spread(interval, sign=True)
    assert bounds({"value": 1.0, "low": None, "high": 2.0}) == "1.00 [∞, 2.00]"
    assert len(set(map(len, text_table([thin, thick]).splitlines()))) == 1


def test_every_row_of_a_picture_has_a_colour_of_its_own() -> None:
    rows = len(default_candidates(8.0))
    assert len(set(COLOURS[:rows])) == rows
