"""`longplay train-policy`: a stopped run equals one that was not; the folder explains itself."""

from __future__ import annotations

import csv
import inspect
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.common.key_values import typed
from experiments.train import learning
from experiments.train.policy_settings import Settings
from experiments.train.stages import chosen_settings
from policies import ENCODERS, POLICIES, load
from tests.experiments.page.checks import faults

WORLD = "n_items=30 slate_size=2 n_candidates=6 history_length=5 max_steps=12"
SIZES = "--users 16 --steps 512 --rounds 3 --sessions 24 --test-sessions 32"
SMALL = ["--env-set", *WORLD.split(), *SIZES.split()]


def train(out: Path, policy: str, *more: str) -> int:
    return main(["train-policy", "--policy", policy, "--out", str(out), *SMALL, *more])


def folder(out: Path) -> Path:
    (one,) = out.iterdir()
    return one


def curve(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "curve.csv").read_text().splitlines()))


def content(run: Path) -> dict[str, bytes]:
    """What decides how a run goes on, and what comes of it."""
    files = [run / "curve.csv", run / "progress.json", run / "report.json"]
    files += [
        p for name in ("best", "checkpoint-*") for d in run.glob(name) for p in d.rglob("*.*")
    ]
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


@pytest.mark.parametrize("policy", ["lints", "ppo"])
@pytest.mark.parametrize("moment", ["while learning", "while writing"])
def test_a_killed_run_taken_up_again_equals_one_that_was_not(
    policy: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(tmp_path / "whole", policy) == 0
    with monkeypatch.context() as patch:
        kill(patch, moment)
        with pytest.raises(SystemError, match="killed"):
            train(tmp_path / "cut", policy)
    cut = folder(tmp_path / "cut")
    assert len(json.loads((cut / "progress.json").read_text())["rows"]) == 2
    assert train(tmp_path / "cut", policy, "--resume", str(cut)) == 0
    whole = content(folder(tmp_path / "whole"))
    assert content(cut) == whole
    assert len(whole) >= 3 + 4


def kill(patch: pytest.MonkeyPatch, moment: str) -> None:
    """The process dies in round 2: half through its decisions, or its checkpoint written but not
    yet told of."""
    if moment == "while learning":
        learn = learning.learn_round

        def dies(policy: Any, env: Any, plan: Any, nth: int, on_steps: Any) -> Any:
            def heartbeat(done: int) -> None:
                if nth == 2:
                    raise SystemError("killed")
                on_steps(done)

            return learn(policy, env, plan, nth, heartbeat)

        patch.setattr(learning, "learn_round", dies)
        return
    write = learning.as_csv

    def stops(rows: list[learning.Row]) -> str:
        if len(rows) == 3:
            raise SystemError("killed")
        return write(rows)

    patch.setattr(learning, "as_csv", stops)


DIES = """
import os, signal, sys
from experiments.train import learning
from experiments.__main__ import main
learn = learning.learn_round
def dies(policy, env, plan, nth, on_steps):
    def heartbeat(done):
        if nth == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        on_steps(done)
    return learn(policy, env, plan, nth, heartbeat)
learning.learn_round = dies
main(sys.argv[1:])
"""


def test_a_process_that_was_killed_outright_leaves_what_can_be_taken_up(tmp_path: Path) -> None:
    """SIGKILL, half through round 2: nothing is flushed or closed."""
    asked = ["train-policy", "--policy", "lints", "--out", str(tmp_path / "cut"), *SMALL]
    ended = subprocess.run([sys.executable, "-c", DIES, *asked], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    cut = folder(tmp_path / "cut")
    assert len(curve(cut)) == 2
    assert not (cut / "report.json").exists()
    assert train(tmp_path / "cut", "lints", "--resume", str(cut)) == 0
    assert train(tmp_path / "whole", "lints") == 0
    assert content(cut) == content(folder(tmp_path / "whole"))


def test_the_folder_explains_itself_and_the_best_policy_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "epsilon_greedy", "--patience", "1", "--rounds", "9") == 0
    run = folder(tmp_path)
    rows = curve(run)
    values = [float(row["value"]) for row in rows]
    best = json.loads((run / "progress.json").read_text())["best"]
    assert best == int(np.argmax(values))
    assert len(rows) == 10 or len(rows) - 1 - best == 1, "stopped early, or all rounds were done"
    assert [int(row["decisions"]) for row in rows] == [512 * n for n in range(len(rows))]
    assert load(run / "best").serving.n_items == 30
    html = (run / "report.html").read_text()
    assert "Learning curve" in html
    assert faults(html) == []
    test = json.loads((run / "report.json").read_text())["test"]
    for key, sign in (("value", ""), ("gain", "+")):
        value, low, high = (f"{test[key][k]:{sign}.2f}" for k in ("value", "low", "high"))
        assert f"{value} [{low}, {high}] a session" in html.split("Learning curve")[0]
    said = json.loads((run / "report.json").read_text())["said"]
    assert said in capsys.readouterr().out
    assert list((run / "tensorboard").iterdir())


def test_held_out_users_are_the_same_at_every_point_and_for_uniform_slates(tmp_path: Path) -> None:
    """A policy that never learns stands still, and uniform slates gain exactly nothing."""
    assert train(tmp_path, "uniform") == 0
    rows = curve(folder(tmp_path))
    assert len({row["value"] for row in rows}) == 1
    assert {float(row["gain"]) for row in rows} == {0.0}


def test_an_encoder_is_fitted_once_and_travels_with_the_policy(tmp_path: Path) -> None:
    with_encoder = ["--encoder", "markov", "--encoder-set", "state_size=4", "--warm-sessions", "50"]
    assert train(tmp_path, "linucb", *with_encoder) == 0
    best: Any = load(folder(tmp_path) / "best")
    assert best.score_model.arms.state.encoder.state_size == 4


def test_an_agent_starts_as_the_saved_policy_and_travels_with_it(tmp_path: Path) -> None:
    assert train(tmp_path / "first", "top_rated", "--set", "temperature=.5") == 0
    prior = folder(tmp_path / "first") / "best"
    assert train(tmp_path / "then", "ppo", "--prior", str(prior), "--rounds", "1") == 0
    run = folder(tmp_path / "then")
    start = float(curve(run)[0]["value"])
    assert start == max(float(row["value"]) for row in curve(folder(tmp_path / "first")))
    after: Any = load(next(run.glob("checkpoint-*")))
    assert after.steps == 512
    assert after.prior.policy.score_model.counts.sum() > 0


@pytest.mark.parametrize(
    ("policy", "more", "said"),
    [
        ("best", [], "no policy 'best'"),
        ("linucb", ["--set", "beta=2"], "has no setting 'beta'"),
        ("linucb", ["--set", "alpha"], "write key=value"),
        ("linucb", ["--steps", "3"], "less than one of each"),
        ("linucb", ["--encoder", "oracle"], "no encoder 'oracle'"),
        ("uniform", ["--encoder", "markov"], "stands on no encoder"),
        ("ppo", ["--encoder", "gru4rec", "--encoder-set", "epochs=0"], "epochs"),
        ("linucb", ["--prior", "a/policy"], "starts as no other policy"),
        ("ppo", ["--prior", "no/policy"], "no/policy"),
        ("ppo", ["--set", "prior=linucb"], "linucb is not a checkpoint"),
        ("ppo", ["--set", "fine_tune=.1"], "fine_tune needs encoder= to be a network"),
        ("slateq", ["--steps", "512"], "needs 5,000 decisions of this call"),
    ],
)
def test_bad_settings_leave_nothing_behind(
    policy: str, more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, policy, *more) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--encoder-set bogus=3", "--encoder-set bogus=3: encoder 'markov' takes skip, decay"),
        ("--encoder-set skip=2.5", "--encoder-set skip=2.5: skip takes int"),
        ("--set alpha=abc", "--set alpha=abc: alpha takes finite float"),
        ("--set alpha=nan", "--set alpha=nan: alpha takes finite float"),
        ("--set alpha=True", "--set alpha=True: alpha takes finite float"),
        ("--set rank=1e999", "--set rank=1e999: rank takes int"),
        ("--set temperature=hot", "--set temperature=hot: temperature takes finite float | None"),
        ("--set arms=joint", "--set arms=joint: arms takes Literal['disjoint', 'shared']"),
    ],
)
def test_a_value_that_cannot_be_is_one_line(
    more: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "linucb", "--encoder", "markov", *more.split()) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert said in only
    assert not list(tmp_path.iterdir())


def test_a_setting_of_the_command_may_be_set_too_and_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "linucb", "--set", "encoder=nobody") == 2
    assert "no encoder 'nobody'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_every_default_is_a_value_that_may_be_set() -> None:
    """What builders and configs annotate is what they take, in types that are read from text."""
    takers = [entry.load() for entry in POLICIES.values()]
    takers += [type(entry.config({})) for entry in ENCODERS.values()]
    for taker in takers:
        for name, parameter in inspect.signature(taker).parameters.items():
            if parameter.default is not inspect.Parameter.empty and name not in (
                "encoder",
                "prior",
                "first_settings",  # set one by one: first.epochs=30
                "second_settings",
            ):
                value = typed("--set", {name: str(parameter.default)}, taker)[name]
                assert value == parameter.default, (taker, name)
                assert type(value) is type(parameter.default), (taker, name)


def test_tuples_are_read_with_or_without_brackets() -> None:
    ppo = POLICIES["ppo"].load()
    for text in ("(5, 20)", "5,20"):
        assert typed("--set", {"windows": text}, ppo) == {"windows": (5, 20)}
    with pytest.raises(ValueError, match="windows takes tuple"):
        typed("--set", {"windows": "5,2.5"}, ppo)


def test_settings_of_0_1_are_read_under_their_names_of_today() -> None:
    with pytest.warns(DeprecationWarning, match="tracker is called end_to_end"):
        chosen = chosen_settings(Settings(policy="ppo", set=("tracker=8",)))
    assert chosen == {"end_to_end": 8}
