"""Every command of `longplay` runs from its options to its output, at a tiny size."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.commands import COMMANDS, Command
from offpolicy import LoggedDataset, write_log
from policies import build, save, serving_of_log
from policies.baselines.uniform import uniform
from serving import Outcome, Request, SegmentLog
from tests.experiments.traffic.stub import stub
from tests.factories import make_serving
from tests.serving.factories import SECRET, make_engine

needs_data = pytest.mark.skipif(
    not os.environ.get("LONGPLAY_DATA"), reason="LONGPLAY_DATA names no folder of real data"
)
TINY = {  # command -> options; {d} is a folder of its own, with a log of decisions in {d}/log; a
    # server that answers is at {server}
    "compare": "--encoder {encoder} --policies uniform --warm-sessions 40 --train-sessions 60 "
    "--log-sessions 150 --truth-sessions 40 --curve-sessions 10 --rounds 1 --users 16 "
    "--max-steps 4 --workers 1 --out {d}/runs",
    "evaluate": "{d}/log --target-scores {d}/target.npy --horizon one_step --out {d}/report",
    "calibrate": "--data {d}/plays.csv --dims 4 --simulated 20 --out {d}/world",
    "coverage": "--replicates 2 --one-step-sessions 60 --sessions 60 --max-steps 2 "
    "--truth-sessions 200 --min-ess 1 --out {d}/coverage.md",
    "train-encoder": "--data {d}/plays.csv --model markov --out {d}/encoder",
    "train-policy": "--policy popularity --rounds 1 --steps 64 --users 16 --sessions 10 "
    "--test-sessions 10 --out {d}/runs --no-tensorboard",
    "leaderboard": "--data {d}/plays.csv --models popularity markov --out {d}/board",
    "study": "--worlds Boredom --encoders none --agents linucb --seeds 2 --steps 320 "
    "--warm-sessions 20 --sessions 20 --max-steps 5 --users 16 --workers 1 --out {d}/runs",
    "sweep": "{d}/sweep.yaml --executor serial --out {d}/runs",
    "tune": "{d}/tune.yaml --trials 2 --executor serial --out {d}/runs",
    "runs": "list {d}/runs",
    "climb": "--seeds 2 --rounds 2 --sessions 60 --warm-sessions 20 --truth-sessions 20 "
    "--max-steps 4 --users 16 --min-ess 5 --workers 1 --out {d}/runs",
    "live": "--days 2 --users 60 --max-steps 4 --warm-sessions 20 --new-sessions 20 --min-ess 2 "
    "--shadow-decisions 10 --workers 1 --out {d}/runs",
    "inspect": "{d}/plays.csv --out {d}/plays.yaml",
    "import": "recbole {d}/plays.inter --out {d}/imported.parquet",
    "recommend": "--policy {d}/policy --history 0 -k 2",
    "check": "{d}/log --users",
    "drift": "{d}/log --split 0.5 --segments step --json {d}/drift.json",
    "gate": "{d}/log --target {d}/target.npy --horizon one_step --out {d}/gate.json",
    "improve": "{d}/log --serving uniform --target popularity --horizon one_step --min-ess 20 "
    "--out {d}/next",
    "plan": "{d}/log --target {d}/target.npy --horizon one_step --out {d}/plan.json",
    "trial": "plan {d}/log --log-days 7 --json {d}/trial.json",
    "which-estimator": "{d}/log --redraws 3",
    "compact": "{d}/log {d}/compacted",
    "join": "{d}/events --reward liked=1 --now end --cap reward=9 decisions=9 "
    "--cap-window 2h --out {d}/joined",
    "forget": "ann --events {d}/events --secret-file {d}/secret",
    "retire": "{d}/events --older-than 30d",
    "signals": "--out {d}/operations",
    "release": "add {d}/policy --registry {d}/registry --promote",
    "retrain": "--registry {d}/registry --log {d}/log --learner popularity --horizon one_step "
    "--min-ess 20",
    "explain": "--registry {d}/registry --history 1 3 --top 3",
    "serve": "--registry {d}/registry --port 0 --seconds 0.2",
    "published": "digits --repeats 1",
    "traffic": "--url {server} --rps 100 --seconds 0.3",
    "benchmark env": "--users 64 --seconds 0.02",
    "benchmark planning": "--worlds Longplay --sessions 20 --searched 4 --rollouts 2 --depth 3 "
    "--static-users 48 --generations 1",
    "benchmark offpolicy": "--scale 0.002 --here",
    "benchmark collect": "--users 32 --steps 2 --policies uniform --repeats 1",
    "benchmark bandits": "--size 4 --arms 10 --batch 10 --seconds 0.02",
    "benchmark training": "--users 32 --epochs 1 --dim 4 --steps 1100 --repeats 1",
    "benchmark rollout": "--parts rollouts --rollouts 2 --sessions 50 --only step-returns-10 "
    "no-errors --workers 1 --out {d}",
    "benchmark drift": "--logs 1 --out {d}/drift_rates.json",
    "benchmark faults": "--logs 1 --clean-logs 2",
    "benchmark referee": "--replicates 2 --processes rate-5-small-equal cut-random-worse "
    "clean-rare fault-clock watch-daily-rate-20 terms-pairs --workers 1 --out {d}/runs",
    "benchmark estimators": "--logs 2 --choices 0 --worlds waves --seed 1",
    "benchmark plans": "--worlds Longplay --runs 4 --plans 2 --candidates 2 --sessions 150 "
    "--pool 200 --warm-sessions 40 --max-steps 4 --users 16",
    "benchmark agents": "--only Boredom/PPO --seeds 1 --sessions 10 --test-sessions 10 "
    "--steps 1024 --rounds 1 --users 32 --workers 1 --out {d}/runs",
    "benchmark planners": "--worlds Longplay --rows behaviour one_step bc --seed 100 --seeds 2 "
    "--warm-sessions 30 --sessions 40 --truth-sessions 20 --users 16 --out {d}/runs",
    "benchmark organic": "--products 20 --decisions 1600 --seeds 1 --sessions 20 --users 8 "
    "--epochs 1 --hidden 4",
    "benchmark fitted-world": "--warm-sessions 40 --sessions 120 --encoder {encoder} "
    "--env-steps 1024 --learners 16 --truth-sessions 40 --users 16 --max-steps 5 --out {d}/world",
    "benchmark serving": "--rows 300 --candidates 30 --slate-size 4 --history 8 --dim 8 "
    "--users 200 --rps 40 --seconds 0.5 --plain-seconds 0.5 --probe-seconds 0.3 "
    "--overload-seconds 0.5 --parts load",
    "benchmark hybrid": "--items 30 --lengths 5 10 --sessions 40 --truth-sessions 10 --users 10 "
    "--max-steps 3 --choice-seeds 0 --seed 1 --seeds 1 --rounds 2",
    "benchmark flips": "--flips 20 --kinds log world --workers 1 --out {d}/runs",
    "benchmark fuzz": "--calls 30 --parts logs estimators --workers 1 --out {d}/runs",
    "benchmark kills": "--kills 2 --terms 1 --interrupts 1 --jobs release --workers 1 "
    "--out {d}/runs",
    "benchmark encoders": "--models gru4rec --length 10 --serve-length 5 --dim 4 --batch 64 "
    "--top 2 --events 400 --repeats 1",
}
BEFORE = dict.fromkeys(("explain", "serve", "retrain"), "release") | {"runs": "study"}  # command ->
# the one that makes what it reads
EXTRAS = {"tune": "optuna"}  # command -> what it needs beside the project
LEARN = (
    "settings: {policy: popularity, rounds: 1, steps: 64, users: 16, sessions: 10, "
    "test_sessions: 10, tensorboard: false}\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of 400 decisions among 4 items, a target's scores on it, plays of 50 users, and the
    events of a decision that was served."""
    rng = np.random.default_rng(0)
    n, items = 400, 4
    slate = rng.integers(0, items, n)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=slate, propensity=np.full(n, 1 / items),
        reward=rng.random(n) + (slate == 0), n_items=items,
    )  # fmt: skip
    write_log(log, tmp_path / "log")
    np.save(tmp_path / "target.npy", np.where(slate == 0, 0.4, 0.2))
    save(build("popularity", serving_of_log(log), temperature=1.0), tmp_path / "policy")
    plays = [
        f"{u},{item},{t}"
        for u in range(50)
        for t, item in enumerate(rng.permutation(40)[: 8 + u % 4])
    ]
    (tmp_path / "plays.csv").write_text("\n".join(["user,item,timestamp", *plays]) + "\n")
    (tmp_path / "sweep.yaml").write_text(f"command: train-policy\n{LEARN}over: {{seed: [0, 1]}}\n")
    (tmp_path / "tune.yaml").write_text(f"{LEARN}search: {{policy.temperature: [1.0, 2.0]}}\n")
    typed = [
        "user_id:token\titem_id:token\ttimestamp:float",
        *(p.replace(",", "\t") for p in plays),
    ]
    (tmp_path / "plays.inter").write_text("\n".join(typed) + "\n")
    _serve(tmp_path)
    return tmp_path


def _serve(folder: Path) -> None:
    (folder / "secret").write_bytes(SECRET)
    with closing(SegmentLog(folder / "events")) as events:
        engine = make_engine(uniform(make_serving(4, user_size=0)), events)
        engine.announce()
        engine.decide(Request(request_id="r", user="ann", session="s"))
        engine.outcome(Outcome(outcome_id="o", decision_id="r", user="ann", kind="liked"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with stub() as (url, _):
        yield url


def options(
    command: str, folder: Path, encoder: str = "markov", server: str = "nowhere"
) -> list[str]:
    given = TINY[command].format(d=folder, encoder=encoder, server=server)
    return [*command.split(), *given.split()]


def test_every_command_has_a_tiny_run() -> None:
    assert TINY.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(
    command: str,
    folder: Path,
    server: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    if command in EXTRAS:
        pytest.importorskip(EXTRAS[command])
    if command in BEFORE:
        assert main(options(BEFORE[command], folder)) == 0
    status = main(options(command, folder, server=server))
    out, err = capsys.readouterr()
    verdict = command in ("gate", "improve", "retrain")  # is its status
    assert status in ((0, 1, 3) if verdict else (0,)), err
    assert "longplay" not in err, err
    assert out.strip(), "a command says what it did"


@pytest.mark.parametrize(
    "table",
    [
        "mips --repeats 1 --worlds 1",
        "coverage --repeats 2",
        "gate --repeats 1 --contexts 500",
        pytest.param("open-bandit --repeats 1", marks=needs_data),
    ],
)
def test_every_published_table_is_measured(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["published", *table.split()]) == 0, capsys.readouterr().err
    assert table.split()[0] in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["average", "gru4rec"])
def test_compare_takes_any_encoder(
    encoder: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options("compare", folder, encoder)) == 0, capsys.readouterr().err


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Say something."""

    word: str = "nothing"


def run(settings: Settings) -> int:
    print(f"said: {settings.word}")
    return 0


def test_a_module_and_one_line_make_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = types.ModuleType("experiments.say")
    module.Settings, module.run = Settings, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "experiments.say", module)
    monkeypatch.setitem(COMMANDS, "say", Command("experiments.say", "say something"))
    assert main(["say", "--word", "hello"]) == 0
    assert "said: hello" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "say something" in capsys.readouterr().out
    assert main(["say", "--loud"]) == 2
