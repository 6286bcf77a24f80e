"""Policies of one's own on the command line: --import, module:attribute, labels and folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import recsim_env  # noqa: F401
from experiments.__main__ import main
from experiments.common.building import named_policy, policy_of
from experiments.common.imports import taken
from experiments.compare.candidates import pick_candidates
from experiments.compare.stages import stage_name
from offpolicy import write_log
from policies import POLICIES, build, collect, load, save
from policies.adapters import named

MODULE = """
import numpy as np
from policies import register

@register("later_items")
def later_items(serving, power: float = 1.0):
    class Later:
        def probabilities(self, obs):
            return (obs.candidates + 1.0) ** power
    return Later()

def flat(observation):
    return np.ones(observation.candidates.shape)
"""
SMALL = """--n-candidates 6 --slate-size 2 --max-steps 4 --encoder markov --warm-sessions 40
    --train-sessions 40 --log-sessions 60 --truth-sessions 30 --curve-sessions 10 --rounds 1
    --env-steps 100 --users 16 --min-ess 10"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "corner_shop.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(named.VARIABLE, "")
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    for store in (named.IMPORTED, POLICIES, sys.modules):
        for key in ("corner_shop", "later_items"):
            dict.pop(store, key, None)


def world() -> Any:
    return gymnasium.make_vec(
        "recsim_env/Longplay-v0",
        num_envs=16,
        max_steps=4,
        slate_size=2,
        n_candidates=6,
        history_length=20,
    )


def test_modules_are_taken_out_of_the_arguments_wherever_they_stand() -> None:
    words = ["--import", "a", "compare", "--seed", "1", "--import=b.c", "--out", "x"]
    assert taken(words) == (["compare", "--seed", "1", "--out", "x"], ["a", "b.c"])
    for wrong in (["compare", "--import"], ["--import", "--seed"]):
        with pytest.raises(ValueError, match="--import names no module"):
            taken(wrong)


def test_a_module_that_is_not_there_is_an_error_of_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--import", "no_such_shop"]) == 2
    assert "there is no module 'no_such_shop'" in capsys.readouterr().err


def test_one_resolver_knows_every_form_of_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    env = world()
    save(build("popularity", env), folder / "kept")
    assert named_policy("mine=linucb,alpha=0.5") == ("mine", "linucb", {"alpha": "0.5"})
    for text, label in (("kept", "kept"), ("best=./kept", "best"), ("corner_shop:flat",) * 2):
        found = named_policy(text)
        assert found.label == label
        assert policy_of(found, env, {"seed": 3}).serving.slate_size == 2
    bandit: Any = policy_of(named_policy("linucb,alpha=0.5"), env, {"alpha": 3.0})
    assert "alpha=0.5" in repr(bandit.score_model) or bandit.score_model.alpha == 0.5
    with pytest.raises(ValueError, match=r"no policy 'linuc'; did you mean linucb\?"):
        named_policy("linuc")
    with pytest.raises(ValueError, match="a saved policy takes no settings"):
        named_policy("kept,alpha=1")


def test_rows_of_a_comparison_are_policies_or_usual_rows(folder: Path) -> None:
    save(build("popularity", world()), folder / "kept")
    rows = pick_candidates(8.0, ("LinUCB", "top_rated,temperature=2", "old=kept"))
    assert [row.name for row in rows] == ["LinUCB", "top_rated,temperature=2", "old"]
    assert [row.learns for row in rows] == [True, True, False]
    with pytest.raises(ValueError, match="no row 'best'; there are 'uniform'"):
        pick_candidates(8.0, ("best",))
    with pytest.raises(ValueError, match="asked for twice"):
        pick_candidates(8.0, ("linucb", "linucb"))
    for names in (("Mine=linucb", "mine=top_rated"), ("Logging policy=linucb",)):
        with pytest.raises(ValueError, match="two rows have one name"):
            pick_candidates(8.0, names)
    assert stage_name("top rated, sharper") != stage_name("top rated; sharper")
    assert "/" not in stage_name("a/b:c")
    long = ["\U0001d4ea" * 300 + end for end in "ab"]
    assert len({stage_name(name) for name in long}) == 2
    assert max(len(f"{stage_name(name)}.json".encode()) for name in long) < 255


def test_compare_ranks_ones_own_beside_a_saved_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(build("popularity", world()), folder / "kept")
    rows = ["corner_shop:flat", "later=later_items,power=2", "old=kept"]
    args = [
        "--import",
        "corner_shop",
        "compare",
        "--policies",
        *rows,
        "--out",
        "runs",
        *SMALL.split(),
    ]
    assert main([*args, "--workers", "1"]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "later" in told
    assert "old" in told
    found = [json.loads(p.read_text()) for p in (folder / "runs").glob("*/stages/candidate-*.json")]
    assert {one["row"]["policy"] for one in found} == {"corner_shop:flat", "later", "old"}


def test_a_gate_takes_a_function_of_ones_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = world()
    write_log(collect(env, build("uniform", env), n_sessions=80, seed=0), folder / "log")
    targets = ["--target", "same=corner_shop:flat", "corner_shop:flat"]
    status = main(["gate", "log", *targets, "--horizon", "per_decision"])
    told = capsys.readouterr()
    assert status in (0, 1, 3), told.err
    assert "same: " in told.out
    assert "corner_shop:flat: " in told.out


def test_a_policy_of_ones_own_is_trained_and_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = """--policy corner_shop:flat --rounds 1 --steps 32 --users 8 --sessions 4
        --test-sessions 4 --no-tensorboard --env-set max_steps=3 slate_size=2 --out runs"""
    assert main(["train-policy", *args.split()]) == 0, capsys.readouterr().err
    (best,) = (folder / "runs").glob("*/best")
    kept: Any = load(best)
    assert kept.serving.slate_size == 2


def test_pickled_code_runs_only_with_trust(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LogisticRegression

    from policies import serving_of
    from policies.adapters.classifier import from_classifier

    env = world()
    log = collect(env, build("uniform", env), n_sessions=30, seed=0)
    write_log(log, folder / "log")
    taught = from_classifier(LogisticRegression(), serving_of(env))
    taught.update(log)
    save(taught, folder / "pickled")
    judged = ["gate", "log", "--target", "pickled", "--horizon", "per_decision"]
    monkeypatch.delenv("LONGPLAY_TRUST", raising=False)
    assert main(judged) == 2
    assert "on a command line with --trust" in capsys.readouterr().err
    assert main([*judged, "--trust"]) in (0, 1, 3)
    assert main(judged) == 2  # it was said of one command


def test_a_function_of_ones_own_is_released_with_the_log_of_its_sizes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = world()
    write_log(collect(env, build("uniform", env), n_sessions=10, seed=0), folder / "log")
    add = ["release", "add", "corner_shop:flat", "--registry", "shop"]
    assert main(add) == 2
    assert "say what it serves, --log LOG" in capsys.readouterr().err
    assert main([*add, "--log", "log"]) == 0
    assert "is in shop" in capsys.readouterr().out
    assert (
        main(["release", "add", "corner_shop:later_items", "--registry", "shop2", "--log", "log"])
        == 2
    )
    assert "cannot be saved" in capsys.readouterr().err
