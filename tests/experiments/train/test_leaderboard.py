"""`longplay train-encoder` and `longplay leaderboard` on a small file, from start to table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.benchmark import encoders as benchmark_encoders
from experiments.data import datasets
from experiments.options.changes import changed
from experiments.train import leaderboard
from experiments.train import train_encoder as pretrain_encoder
from experiments.train.encoder_settings import encoder_settings, settings_for
from experiments.train.recipe import CHAINS, Sizes, network
from policies import ENCODERS
from policies.saving.checkpoint import Catalogue, load

SMALL = ("dim=8", "length=6", "epochs=2", "batch_tokens=300", "negatives=8")


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """40 users walk a ring of 30 items, in time order."""
    rng, rows = np.random.default_rng(0), ["user,item,timestamp"]
    for user in range(40):
        first = rng.integers(30)
        rows += [f"{user},{(first + t) % 30:02d},{86_400 * t + user}" for t in range(12)]
    (tmp_path / "shop.csv").write_text("\n".join(rows) + "\n")
    return str(tmp_path / "shop.csv")


def test_an_encoder_is_trained_tested_and_saved(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = pretrain_encoder.Settings(
        data=shop, model="gru4rec", set=SMALL, out=out, tensorboard=True
    )
    assert pretrain_encoder.run(settings) == 0
    told = json.loads((out / "report.json").read_text())
    assert (told["split"], told["queries"], told["epochs"]) == ("leave-one-out by user", 40, 2)
    assert "ties at mid-rank" in told["protocol"]
    names = [f"{i:02d}" for i in range(30)]  # as they stand in the file
    assert list((out / "tensorboard").glob("events*"))
    assert load(out / "checkpoint", catalogue=Catalogue.of("shop", names)).config.dim == 8
    printed = capsys.readouterr().out
    assert "epoch   2 of 2" in printed
    assert "NDCG@10" in printed
    assert pretrain_encoder.run(settings) == 0  # again: nothing is left to train
    assert "of 2: loss" not in capsys.readouterr().out
    assert json.loads((out / "report.json").read_text())["metrics"] == told["metrics"]


def test_networks_begin_at_topics_where_there_are_any(shop: str) -> None:
    data = datasets.load(shop)
    with pytest.raises(ValueError, match="nothing is known of the items of shop"):
        pretrain_encoder.begun_at_topics(data.split(), data)
    topics = np.arange(60).reshape(30, 2) % 3 == 0
    known = replace(data, topics=topics, topic_names=("a", "b"))
    split = pretrain_encoder.begun_at_topics(data.split(), known)
    assert split.train.item_features is not None
    np.testing.assert_array_equal(split.train.item_features, topics)
    np.testing.assert_array_equal(split.test.target, data.split().test.target)


def test_settings_are_chosen_on_the_last_training_events(shop: str) -> None:
    data = datasets.load(shop)
    chosen, whole = data.split("development"), data.split()
    assert chosen.rule.startswith("development")
    assert chosen.train.n_events == whole.train.n_events - 40
    np.testing.assert_array_equal(chosen.test.target, [own[-1] for own in whole.train])
    with pytest.raises(ValueError, match="leave-one-out, global-time, development"):
        data.split("other")  # type: ignore[arg-type]


def test_the_command_refuses_topics_that_are_not_known(shop: str, tmp_path: Path) -> None:
    settings = pretrain_encoder.Settings(data=shop, known_items=True, out=tmp_path / "run")
    with pytest.raises(ValueError, match="leave out --known-items"):
        pretrain_encoder.run(settings)


def test_the_learning_free_rows_stand_first_and_the_verdict_is_said(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = leaderboard.Settings(data=shop, models=("sasrec",), set=SMALL, out=tmp_path / "it")
    assert leaderboard.run(settings) == 0
    rows = json.loads((tmp_path / "it" / "leaderboard.json").read_text())["rows"]
    assert [r["encoder"] for r in rows] == [
        "popularity", "popularity, last 7 days", "skip-Markov", "sasrec", "sasrec and skip-Markov"
    ]  # fmt: skip
    assert rows[2]["NDCG@10"].startswith("1.0000")  # a ring is a chain
    assert rows[3]["beats it"] == "no"
    mixture = load(tmp_path / "it" / "sasrec-and-skip-Markov" / "checkpoint")
    assert mixture.config.first_settings["dim"] == 8
    assert rows[4]["NDCG@10"].startswith("1.0000")  # the share is the chain's
    first = capsys.readouterr().out
    assert "No network is above skip-Markov" in first
    assert "epoch   1 of 2" in first
    assert leaderboard.run(settings) == 0
    assert "epoch   1 of 2" not in capsys.readouterr().out  # kept checkpoints are used
    again = json.loads((tmp_path / "it" / "leaderboard.json").read_text())["rows"]
    assert again == rows
    files = {p.name for p in (tmp_path / "it").iterdir() if p.is_file()}
    assert files == {"leaderboard.html", "leaderboard.json", "leaderboard.md", "settings.json"}


def test_models_of_a_file_that_changed_are_trained_again(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = leaderboard.Settings(data=shop, models=("sasrec",), set=SMALL, out=tmp_path / "it")

    def rows() -> list[str]:
        assert leaderboard.run(settings) == 0
        told = json.loads((tmp_path / "it" / "leaderboard.json").read_text())["rows"]
        return [r["NDCG@10"] for r in told]

    before = rows()
    header, *lines = Path(shop).read_text().splitlines()  # the same users, items and times
    items = [line.split(",")[1] for line in lines]
    turned = [items[12 * u + 11 - t] for u in range(40) for t in range(12)]
    cells = [line.split(",") for line in lines]
    new = [f"{user},{item},{time}" for (user, _, time), item in zip(cells, turned, strict=True)]
    Path(shop).write_text("\n".join([header, *new]) + "\n")
    capsys.readouterr()
    after = rows()
    assert "epoch   1 of 2" in capsys.readouterr().out
    assert after[2].startswith("1.0000")  # the ring the other way round: skip-Markov was made anew
    assert after != before
    assert rows() == after
    assert "epoch   1 of 2" not in capsys.readouterr().out


def test_parts_of_a_mixture_are_set_on_the_command_line() -> None:
    texts = ["first.epochs=3", "set.second.skip=9", "pool=linear", "first.epochs=4"]
    put = changed(pretrain_encoder.Settings, {}, texts)["set"]
    assert put == ["second.skip=9", "pool=linear", "first.epochs=4"]
    assert typed_for("mixture", *put) == {
        "pool": "linear", "first_settings": {"epochs": 4}, "second_settings": {"skip": 9},
    }  # fmt: skip
    with pytest.raises(ValueError, match="pool"):
        typed_for("mixture", "pool=cubic")


def test_settings_take_the_type_of_their_field() -> None:
    assert typed_for("markov", "decay=0.5") == {"decay": 0.5}
    assert typed_for("popularity", "window=60") == {"window": 60.0}
    got = typed_for("sasrec", "bf16=true", "loss=full", "device=cpu", "temperature=none")
    assert got == {"bf16": True, "loss": "full", "device": "cpu", "temperature": None}
    assert type(typed_for("sasrec", "averaging=0")["averaging"]) is float  # as a run's hash


def typed_for(model: str, *changes: str) -> dict[str, Any]:
    return encoder_settings("--set", model, changes)


def test_settings_of_a_mixture_are_its_own_and_those_of_its_parts() -> None:
    got = typed_for("mixture", "first=gru4rec", "share=0.6", "first.epochs=3", "second.skip=9")
    assert got == {
        "first": "gru4rec",
        "share": 0.6,
        "first_settings": {"epochs": 3},
        "second_settings": {"skip": 9},
    }
    with pytest.raises(ValueError, match="hidden=3: encoder 'filter' takes"):
        typed_for("mixture", "first.hidden=3")
    with pytest.raises(ValueError, match="--set epochs=3: encoder 'mixture' takes first, second"):
        typed_for("mixture", "epochs=3")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("depth=3", "--set depth=3: encoder 'sasrec' takes length, epochs"),
        ("epochs=many", "--set epochs=many: epochs takes int"),
    ],
)
def test_wrong_settings_are_refused(change: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        typed_for("sasrec", change)


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no encoder 'caser'; there are average, bert4rec"):
        typed_for("caser")


def test_the_benchmark_measures_learning_and_serving(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = benchmark_encoders.Settings(
        models=("gru4rec",), length=10, serve_length=4, batch=16, events=3_000, out=tmp_path
    )
    assert benchmark_encoders.run(settings) == 0
    told = json.loads((tmp_path / "benchmark.json").read_text())
    (row,) = told["rows"]
    assert told["plain_targets_per_cpu_second"] > 0
    assert row["train_best"] >= row["train_median"] > 0
    assert row["serve_best"] >= row["serve_median"] > 0
    hidden_and_vector, window = 2 * 16 * 64 * 4, 16 * 10 * 4  # float32, and ids of L events
    assert row["state_bytes"] == hidden_and_vector + window
    assert "gru4rec" in capsys.readouterr().out


def table_of(path: Path, rows: list[tuple[int, int, int]]) -> str:
    path.write_text("user,item,timestamp\n" + "".join(f"u{u},i{i},{t}\n" for u, i, t in rows))
    return str(path)


@pytest.mark.parametrize("split", ["leave-one-out", "global-time", "development"])
@pytest.mark.parametrize(("users", "n_items"), [(12, 1), (12, 5), (1, 20)])
def test_small_catalogues_and_single_users_have_figures(
    split: datasets.SplitName,
    users: int,
    n_items: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(0)
    rows = [(u, int(rng.integers(n_items)), 10 * k + u) for u in range(users) for k in range(20)]
    data = table_of(tmp_path / "few.csv", rows)
    settings = leaderboard.Settings(
        data=data, models=("sasrec",), set=SMALL, split=split, out=tmp_path / "it"
    )
    assert leaderboard.run(settings) == 0
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert "nothing filtered" in printed
    assert f"coverage@{min(n_items, 10)}" in printed


def test_the_rule_of_the_ranking_is_printed_and_written(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    again = [(u, int(i), t) for u in range(30) for t, i in enumerate(rng.integers(20, size=8))]
    for data, rule in (
        (shop, "seen items filtered"),
        (table_of(tmp_path / "x.csv", again), "nothing"),
    ):
        settings = pretrain_encoder.Settings(data=data, model="markov", out=tmp_path / rule)
        assert pretrain_encoder.run(settings) == 0
        assert rule in json.loads((tmp_path / rule / "report.json").read_text())["protocol"]
        assert rule in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "split", "said"),
    [
        (
            [(u, u % 7, k) for u in range(9) for k in range(2)],
            "leave-one-out",
            "0 of 9 users can be",
        ),
        ([(u, u % 7, 5) for u in range(9) for k in range(9)], "global-time", "1 different times"),
        ([(u, u % 7, k) for u in range(9) for k in range(3)], "leave-one-out", "nothing to learn"),
        ([], "leave-one-out", "has no rows"),
    ],
)
def test_nothing_to_learn_or_test_is_refused_before_training(
    rows: list[tuple[int, int, int]], split: datasets.SplitName, said: str, tmp_path: Path
) -> None:
    data, out = table_of(tmp_path / "it.csv", rows), tmp_path / "run"
    with pytest.raises(ValueError, match=said):
        pretrain_encoder.run(pretrain_encoder.Settings(data=data, split=split, out=out))
    with pytest.raises(ValueError, match=said):
        leaderboard.run(leaderboard.Settings(data=data, split=split, out=out))
    assert not out.exists()


def test_without_validation_all_epochs_are_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = table_of(tmp_path / "one.csv", [(0, k, k) for k in range(4)])
    settings = pretrain_encoder.Settings(
        data=data, model="gru4rec", set=SMALL, split="global-time", out=tmp_path / "run"
    )
    assert pretrain_encoder.run(settings) == 0
    printed = capsys.readouterr().out
    assert "no validation queries" in printed
    assert "epoch   2 of 2" in printed
    assert "nan" not in printed


def test_the_recipe_looks_at_sizes_and_not_at_names(shop: str) -> None:
    split = datasets.load(shop).split()
    sizes = Sizes.of(split.train)
    assert sizes == Sizes(targets=40 * 9, per_item=40 * 10 / 30, length=10.0)
    assert settings_for("popularity", split) == {}
    assert settings_for("markov", split) in CHAINS
    got = settings_for("filter", split, ("lr=0.01",))
    assert (got["blocks"], got["length"], got["dropout"], got["lr"]) == (1, 50, 0.3, 0.01)
    assert got["epochs"] == 100  # one batch holds all targets
    mixed = settings_for("mixture", split, ("first=gru4rec", "first.epochs=2"))
    assert mixed["first_settings"] == settings_for("gru4rec", split, ("epochs=2",))
    assert mixed["second_settings"] == settings_for("markov", split)
    films = network(ENCODERS["sasrec"].config({}), Sizes(981_491, 288.0, 96.0))
    assert (films["length"], films["blocks"], films["dropout"]) == (192, 2, 0.1)
    assert films["epochs"] == 20
    rare = network(ENCODERS["filter"].config({}), Sizes(131_413, 12.8, 6.0))
    assert (rare["epochs"], rare["batch_tokens"], rare["dropout"]) == (49, 1000, 0.3)
    huge = network(ENCODERS["filter"].config({}), Sizes(40_000_000, 12.8, 6.0))
    assert huge["epochs"] == 5


def test_targets_that_repeat_are_said_and_ranked_by_a_named_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (u, int(i), 50 * u + t) for u in range(40) for t, i in enumerate(rng.integers(9, size=8))
    ]
    data, asked = table_of(tmp_path / "clicks.csv", rows), {}
    for seen in ("keep", "filter", "new"):
        settings = pretrain_encoder.Settings(
            data=data, model="markov", split="sessions", seen=seen, out=tmp_path / seen
        )
        assert pretrain_encoder.run(settings) == 0
        told = json.loads((tmp_path / seen / "report.json").read_text())
        asked[seen] = told["queries"]
        assert "every prefix asked" in told["split"]
        assert ("seen items filtered" in told["protocol"]) == (seen != "keep")
        assert ("repeat an item" in capsys.readouterr().out) == (seen != "new")
    assert asked["keep"] == asked["filter"] == 4 * 7  # a tenth of 40 sessions, prefixes of 1 to 7
    assert asked["new"] < 4 * 7
