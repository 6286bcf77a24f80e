"""A sweep: equal bytes on every executor, by shards, and after kills; what fails is kept."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.__main__ import main
from experiments.common.run_folder import RunFolder
from experiments.sweeps.plan import Cell, Plan, read_plan
from experiments.sweeps.swept import settings_for
from experiments.sweeps.table import table

SIZES = "rounds: 1, steps: 64, users: 16, sessions: 10, test_sessions: 10, tensorboard: false"
SWEEP = f"""\
command: train-policy
settings: {{{SIZES}}}
over:
  env: [recsim_env/Longplay-v0, recsim_env/Boredom-v0]
  policy: [popularity, linucb]
  seed: [0, 1]
"""
WRITTEN = ("table.md", "sweep.csv")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(scope="module")
def serial(file: Path) -> Path:
    """The run folder of the sweep, one run after the other."""
    assert main(["sweep", str(file), "--executor", "serial", "--out", str(file.parent / "a")]) == 0
    (folder,) = (file.parent / "a").iterdir()
    return folder


def written(folder: Path) -> dict[str, bytes]:
    """The tables and every stage, by name."""
    files = [folder / name for name in WRITTEN] + sorted((folder / "stages").iterdir())
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


def test_a_line_is_what_its_command_says_alone(serial: Path, tmp_path: Path) -> None:
    with (serial / "sweep.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(r["env"][11:15], r["policy"], r["seed"]) for r in rows][:3] == [
        ("Long", "popularity", "0"), ("Long", "popularity", "1"), ("Long", "linucb", "0"),
    ]  # fmt: skip
    assert len(rows) == 8
    alone = (
        "train-policy --policy linucb --seed 1 --env recsim_env/Boredom-v0 --rounds 1 --steps 64 "
        f"--users 16 --sessions 10 --test-sessions 10 --no-tensorboard --out {tmp_path}"
    )
    assert main(alone.split()) == 0
    (run,) = tmp_path.iterdir()
    test = json.loads((run / "report.json").read_text())["test"]
    assert (rows[-1]["policy"], rows[-1]["seed"]) == ("linucb", "1")
    assert float(rows[-1]["value"]) == test["value"]["value"]


@pytest.mark.filterwarnings("ignore")  # of the clusters' own libraries
@pytest.mark.parametrize("executor", ["processes:2", "ray", "dask"])
def test_every_executor_writes_the_same_bytes(
    executor: str, file: Path, serial: Path, tmp_path: Path
) -> None:
    if executor in ("ray", "dask"):
        pytest.importorskip({"dask": "distributed"}.get(executor, executor))
    assert main(["sweep", str(file), "--executor", executor, "--out", str(tmp_path)]) == 0
    (folder,) = tmp_path.iterdir()
    assert written(folder) == written(serial)


def test_shards_are_joined_to_the_same_bytes(
    file: Path, serial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for nth in ("1/2", "2/2"):
        options = ["--shard", nth, "--executor", "serial", "--out", str(tmp_path / nth[0])]
        assert main(["sweep", str(file), *options]) == 0
        assert "4 runs are of other shards" in capsys.readouterr().out
    parts = [str(next((tmp_path / nth).iterdir())) for nth in "12"]
    assert main(["runs", "join", *parts, "--out", str(tmp_path / "all")]) == 0
    (joined,) = (tmp_path / "all").iterdir()
    assert f"longplay sweep --resume {joined}" in capsys.readouterr().out
    assert main(["sweep", "--resume", str(joined)]) == 0
    assert written(joined) == written(serial)
    assert "0 of 8 runs" in capsys.readouterr().out


def test_a_run_that_fails_is_kept_with_its_traceback_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"command: train-policy\nsettings: {{{SIZES}, policy: linucb}}\n"
        "over: {policy.alpha: [1.0, -1.0, 0.5]}\n"
    )
    out = tmp_path / "runs"
    assert main(["sweep", str(file), "--executor", "serial", "--out", str(out)]) == 2
    assert "1 of 3 jobs failed, the first with: alpha" in capsys.readouterr().err
    (folder,) = out.iterdir()
    (failed,) = (folder / "failed").iterdir()
    assert "Traceback" in failed.read_text()
    assert len(list((folder / "stages").iterdir())) == 2
    assert json.loads((folder / "state.json").read_text())["state"] == "failed"
    assert main(["sweep", "--resume", str(folder)]) == 2
    assert "1 of 3 runs of longplay train-policy" in capsys.readouterr().out


def test_compare_is_swept_too(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "settings: {encoder: markov, policies: [uniform, popularity], warm_sessions: 40, "
        "train_sessions: 40, log_sessions: 80, truth_sessions: 40, curve_sessions: 10, rounds: 1, "
        "users: 16, max_steps: 3}\nover: {seed: [0, 1]}\n"
    )
    out = tmp_path / "runs"
    assert main(["sweep", str(file), "--executor", "serial", "--out", str(out)]) == 0
    (folder,) = out.iterdir()
    lines = (folder / "table.md").read_text().splitlines()
    assert lines[0].startswith("| policy | truth | true_uplift | passed | wrong | truth less")
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| uniform", "| popularity"]


def test_means_and_intervals_by_hand() -> None:
    """1, 2, 3: mean 2, Student's t of 2 degrees 4.303 / sqrt(3) = 2.48; the pairs differ by 1."""
    cells = [Cell(n, {"seed": n}, SimpleNamespace()) for n in range(3)]
    numbers = {"true_uplift": 0.0, "passed": 1.0, "wrong": 0.0}
    rows = [
        [{"policy": name, "truth": n + more, **numbers} for name, more in (("a", 1.0), ("b", 2.0))]
        for n in range(3)
    ]
    lines = table(Plan("compare", ("seed",), tuple(cells)), rows, 0.95).splitlines()
    assert lines[2].startswith("| a | 2 ± 2.5 | 0 ± 0 | 1 ± 0 |")
    assert lines[3].startswith("| b | 3 ± 2.5 |")
    assert lines[3].endswith("| +1 ± 0 |")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("over: {seed: [0]}\ncomand: compare", "no 'comand' in a sweep .did you mean 'command'"),
        ("command: climb\nover: {seed: [0]}", "command is 'climb'"),
        ("command: compare", "over is empty"),
        ("over: {seed: 3}", r"seed is 3; write a list, such as \[0, 1, 2\]"),
        ("over: {seed: []}", "write a list"),
        ("over: {seed: [0, 0]}", "names a value twice"),
        ("over: {sed: [0]}", "no setting 'sed' .did you mean 'seed'"),
        ("over: {seed: [x]}", "seed is 'x'; it takes int"),
        ("over: {seed: [0]}\nsettings: {seed: 1}", "seed is in settings and in over"),
        ("over: {seed: [0]}\nsettings: [users]", "settings is .'users'."),
        ("over: {seed: [0]}\nsettings: {out: x}", "out belong to the command line"),
        ("over: {seed: [0]}\nsettings: {level: 2}", "level is 2"),
        ("command: train-policy\nover: {seed: [0]}", "longplay train-policy needs policy"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_plan(file)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b"])
def test_a_shard_is_one_of_so_many(
    shard: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(file), "--shard", shard]) == 2
    assert "write I/N" in capsys.readouterr().err


def test_a_setting_of_a_policy_is_named_with_a_dot() -> None:
    found = settings_for("train-policy", {"policy": "linucb", "policy.alpha": 0.5}, "f")
    assert found.set == ("alpha=0.5",)


def begun(out: Path) -> Path | None:
    return next(iter(out.iterdir()), None) if out.exists() else None


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(
    file: Path, serial: Path, tmp_path: Path
) -> None:
    """By --resume FOLDER alone; no worker is left behind."""
    rng, first = random.Random(7), ["sweep", str(file), "--workers", "2", "--out", str(tmp_path)]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(3):
        folder = begun(tmp_path)
        options = first if folder is None else ["sweep", "--resume", str(folder)]
        command = [sys.executable, "-m", "experiments", *options]
        with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as run:
            until = time.monotonic() + 60
            while begun(tmp_path) is None and time.monotonic() < until and run.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0.5, 6.0))
            run.send_signal(signal.SIGKILL)
    folder = begun(tmp_path)
    assert folder is not None
    assert main(["sweep", "--resume", str(folder)]) == 0
    assert written(folder) == written(serial)
    assert RunFolder(folder).read_json("state.json") == {"state": "done"}
