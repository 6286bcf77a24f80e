"""`longplay improve`: from a log in the user's own words to the next policy to serve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.__main__ import main
from experiments.logs.improve import served_by
from experiments.logs.item_names import item_names, open_named_log
from offpolicy import LoggedDataset, write_log
from policies import build, collect, constrained, load, save, score_log
from policies.improve.path import Path as Between
from policies.observation import serving_of_log
from policies.rules.constraints import Cap
from tests.experiments.logs.factories import COLUMNS, SONGS, foreign, one_row
from tests.factories import make_env


def improve(log: Path, serving: str, target: str, *more: str) -> int:
    return main(
        ["improve", str(log), "--serving", serving, "--target", target, "--min-ess", "100",
         "--columns", *COLUMNS, *more]
    )  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_foreign_log_in_its_own_words_gets_a_step_and_then_another(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = foreign(tmp_path / f"visits.{form}"), tmp_path / "first"
    setting = ("--set", "response=minutes", "temperature=0.7")
    assert improve(log, "uniform", "top_rated", *setting, "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "**PASS**: uplift is above +0 with 0.95 confidence" in said
    assert "| aria" in said
    assert "fugue" in said
    assert sorted(p.name for p in out.iterdir()) == [
        "gate.json",
        "items.txt",
        "policy",
        "report.md",
        "seen.npy",
    ]
    assert (out / "items.txt").read_text(encoding="utf-8").splitlines() == sorted(SONGS)
    record = json.loads((out / "gate.json").read_text())
    assert record["step"]["share"] > 0
    assert record["candidates"][0]["verdict"]["outcome"] == "pass"
    assert record["step"]["bound"] == record["candidates"][0]["uplift"]["low"] > 0
    one = load(out / "policy")
    shown = dict(
        zip(sorted(SONGS), one.distribution(one_row(one, 1)).first_place()[0], strict=True)
    )
    assert max(shown, key=lambda song: shown[song]) == "aria"
    # on the sessions that taught it, the step looks better than it is
    gate = ["gate", str(log), "--target", str(out / "policy"), "--horizon", "per_decision"]
    main([*gate, "--columns", *COLUMNS])
    heard, seen = capsys.readouterr().err, np.load(out / "seen.npy")
    assert f"WARNING: {len(seen)} of 1,500 sessions that judge here" in heard
    assert improve(log, str(out / "policy"), "top_rated", *setting, "--seed", "1") in (0, 1, 3)
    assert capsys.readouterr().out.startswith("WARNING: ")
    # the stepped folder serves, logs, and is the next --serving
    again = foreign(tmp_path / f"more.{form}", seed=1, policy=one)
    assert improve(again, str(out / "policy"), "top_rated", *setting, "--out", str(out)) == 0
    two = load(out / "policy")
    assert isinstance(two, Between)
    assert len(two.parts) == 3
    first = two.distribution(one_row(two, 1)).first_place()[0]
    assert first[sorted(SONGS).index("aria")] > shown["aria"]
    told = (out / "report.md").read_text()
    assert "did not serve this log" not in told
    assert "WARNING" not in told
    assert np.isin(seen, np.load(out / "seen.npy")).all()  # of both logs now


def test_without_a_step_nothing_but_what_serves_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = foreign(tmp_path / "visits.csv", n=400), tmp_path / "out"
    assert improve(log, "uniform", "uniform", "--out", str(out)) == 3
    assert "No step from uniform towards uniform" in capsys.readouterr().out
    assert not (out / "policy").exists()
    assert "candidates" not in json.loads((out / "gate.json").read_text())
    saved = tmp_path / "saved"
    save(build("uniform", serving_of_log(open_named_log(log, COLUMNS, None))), saved)
    assert improve(log, str(saved), "uniform", "--out", str(out)) == 3
    assert load(out / "policy").serving.n_items == 6
    bare = main(["improve", str(log), "--serving", "uniform", "--target", "top_rated",
                 "--set", "response=minutes", "--columns", *COLUMNS])  # fmt: skip
    assert bare == 3
    assert "no share of the way holds the floors" in capsys.readouterr().out


def test_a_policy_of_which_the_log_cannot_tell_is_kept_for_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan says how many sessions it must serve: then it must be there to serve them."""
    log, out = foreign(tmp_path / "visits.csv"), tmp_path / "out"
    unsure = ("--set", "response=minutes", "temperature=4", "--shares", "1", "--split", "0.5",
              "0.25", "0.25", "--min-uplift", "0.125")  # fmt: skip
    assert improve(log, "uniform", "top_rated", *unsure, "--out", str(out)) == 3
    said = capsys.readouterr().out
    assert "Here `the target` is the policy at 1 of the way" in said
    assert "the target in 50% of sessions" in said
    assert "(candidate, gate.json, items.txt, report.md, seen.npy)" in said
    candidate = load(out / "candidate")
    assert candidate.distribution(one_row(candidate, 1)).first_place()[0].argmax() == 0  # aria
    # an earlier run's folder is replaced, and a step needs no candidate beside it
    setting = ("--set", "response=minutes", "temperature=0.7")
    assert improve(log, "uniform", "top_rated", *setting, "--out", str(out)) == 0
    assert not (out / "candidate").exists()


def test_a_clone_may_stand_for_what_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = foreign(tmp_path / "visits.csv")
    assert improve(log, "popularity", "top_rated", "--set", "response=minutes") == 0
    assert "`now` did not serve this log" in capsys.readouterr().out


def test_a_log_without_the_pools_it_was_served_from_is_told_from_a_thin_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of two orders of two items on offer: 1 / 2, but 1 / 30 of the whole catalogue."""
    log = foreign(tmp_path / "visits.csv", n=300)
    table = pd.read_csv(log)
    table["p"] = 0.5
    table.to_csv(log, index=False)
    assert improve(log, "uniform", "top_rated", "--set", "response=minutes") == 3
    assert "this log has no `candidates`" in capsys.readouterr().out
    pools = (*COLUMNS, "candidates=first,second")
    told = ("--set", "response=minutes", "--columns", *pools)
    argv = ["improve", str(log), "--serving", "uniform", "--target", "top_rated", *told]
    assert main(argv) in (0, 3)
    assert "candidates`" not in capsys.readouterr().out


def test_rules_of_what_serves_are_those_of_the_step(tmp_path: Path) -> None:
    env = make_env(64, max_steps=3)
    rule = Cap("one of a kind", (np.arange(30) % 15).astype(np.int32), 1)
    now = constrained(build("uniform", env), rule)
    write_log(collect(env, now, n_sessions=1500, seed=0), tmp_path / "log")
    save(now, tmp_path / "now")
    argv = ["improve", str(tmp_path / "log"), "--serving", str(tmp_path / "now"), "--target",
            "top_rated", "--min-ess", "100", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(argv) in (0, 3)
    policy = load(tmp_path / "out" / "policy")
    served = collect(env, policy, n_sessions=64, seed=1)
    assert (rule.group[served.slate[:, 0]] != rule.group[served.slate[:, 1]]).all()
    np.testing.assert_allclose(score_log(policy, served, n_slates=0).propensity, served.propensity)


def test_bad_input_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = foreign(tmp_path / "visits.csv", n=200)
    (tmp_path / "songs.txt").write_text("\n".join(SONGS[:5]))
    for argv, says in (
        (("nobody", "uniform"), "nobody is no folder of a saved policy, nor one of a2c"),
        (("uniform", "ppo"), "ppo learns by acting in a world"),
        (("uniform", "top_rated", "--set", "prior=x"), "--set prior=x: prior takes"),
        (
            ("uniform", "uniform", "--out", str(tmp_path)),
            "holds other things than candidate, gate.json",
        ),
        (("uniform", "uniform", "--items", str(tmp_path / "songs.txt")), "holds 'reel', which"),
        (("uniform", "uniform", "--split", "0.5", "0.1", "0.1"), "sum to 1"),
    ):
        assert improve(log, argv[0], argv[1], *argv[2:]) == 2
        assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) != []
    assert log.exists()


def test_item_names_keep_their_ids(tmp_path: Path) -> None:
    log = foreign(tmp_path / "visits.csv", n=50)
    (tmp_path / "songs.txt").write_text("\n".join([*SONGS, "new"]), encoding="utf-8")
    named = open_named_log(log, COLUMNS, None, items=str(tmp_path / "songs.txt"))
    assert item_names(named) == [*SONGS, "new"]
    table = pd.read_csv(log)
    assert [SONGS[i] for i in named.slate[:, 1]] == table["second"].tolist()
    table["first"], table["second"] = 10 * named.slate[:, 0] + 7, 10 * named.slate[:, 1] + 7
    table["played"] = np.where(np.arange(len(table)) % 3, table["first"].astype(float), np.nan)
    table.to_csv(tmp_path / "numbers.csv", index=False)
    numbers = open_named_log(tmp_path / "numbers.csv", COLUMNS, None, items="log")
    assert item_names(numbers) == [str(n) for n in range(7, 60, 10)]  # by size, as everywhere
    assert numbers.consumed is not None
    assert (numbers.consumed[::3] == -1).all()
    assert (numbers.consumed[1::3] == numbers.slate[1::3, 0]).all()
    lists = pd.DataFrame({
        "session": ["a", "a", "b"], "step": [0, 1, 0], "reward": [1.0, 0, 0],
        "propensity": [0.5, 0.5, 0.5], "slate": [["x", "y"], ["y"], ["z", "x"]],
    })  # fmt: skip
    lists.to_parquet(tmp_path / "lists.parquet")
    ragged = open_named_log(tmp_path / "lists.parquet", (), None)
    assert ragged.slate.tolist() == [[0, 1], [1, -1], [2, 0]]


def test_of_several_loggers_the_serving_policy_judges() -> None:
    env = make_env(32, max_steps=3)
    uniform, other = build("uniform", env), build("top_rated", env, temperature=1.0)
    old = collect(env, uniform, n_sessions=60, seed=0, logger="old")
    other.update(old)
    new = collect(env, other, n_sessions=40, seed=1, logger="new")
    both = LoggedDataset.concat([old, new])
    assert len(served_by(other, both)) == len(new)
    assert len(served_by(uniform, both)) == len(old)
    clone = build("top_rated", env, temperature=9.0)
    assert served_by(clone, new) is new
    clone.update(old)
    assert served_by(clone, both) is both


def test_a_stored_log_whose_ids_mean_other_items_is_refused(tmp_path: Path) -> None:
    log = open_named_log(foreign(tmp_path / "visits.csv", n=20), COLUMNS, None)
    write_log(log, tmp_path / "log")
    (tmp_path / "items.txt").write_text("\n".join(sorted(SONGS)), encoding="utf-8")
    assert len(open_named_log(tmp_path / "log", (), None, items=str(tmp_path / "items.txt"))) == 40
    (tmp_path / "items.txt").write_text("\n".join(SONGS), encoding="utf-8")
    with pytest.raises(ValueError, match=r"item 0 is 'aria', not 'waltz' as in .*items\.txt"):
        open_named_log(tmp_path / "log", (), None, items=str(tmp_path / "items.txt"))


def test_no_simulator_is_needed(tmp_path: Path) -> None:
    log, out = foreign(tmp_path / "visits.csv"), tmp_path / "out"
    argv = ["improve", str(log), "--serving", "uniform", "--target", "one_step", "--min-ess", "100",
            "--columns", *COLUMNS, "--out", str(out)]  # fmt: skip
    code = (
        "import sys; sys.modules['recsim_env'] = None\n"
        f"from experiments.__main__ import main; sys.exit(main({argv!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "policy" / "weights.safetensors").exists()


def test_sizes_are_read_off_a_log() -> None:
    env = make_env(8)
    log = collect(env, build("uniform", env), n_sessions=30, seed=0)
    features = np.ones((30, 3))
    sizes = serving_of_log(log, features, history_length=4, response_names=("a", "b", "c"))
    want = build("uniform", env).serving
    assert (sizes.n_items, sizes.slate_size, sizes.n_candidates, sizes.user_size) == (
        want.n_items, want.slate_size, want.n_candidates, want.user_size,
    )  # fmt: skip
    assert (sizes.history_length, sizes.response_names) == (4, ("a", "b", "c"))
    assert serving_of_log(log).item_features.shape == (30, 30)
    with pytest.raises(ValueError, match=r"item_features has shape \(3, 30\).*log's 30 items"):
        serving_of_log(log, features.T[:, :30])
    with pytest.raises(ValueError, match=r"response_names is \['a'\].*log's 3 columns"):
        serving_of_log(log, response_names=["a"])
    bare = make_env(8, n_candidates=None)
    whole = collect(bare, build("uniform", bare), n_sessions=8, seed=0)
    assert serving_of_log(whole).n_candidates is None
