"""Loaders read the files as published, and say what is wrong with those they cannot read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments import open_bandit as old
from experiments.data.datasets import load
from experiments.data.open_bandit import item_shares, load_open_bandit, positions, score_shares
from policies.encoders import ENCODERS, leave_one_out
from policies.encoders.evaluate import gains, ranks

ROOT = os.environ.get("LONGPLAY_DATA")
real = pytest.mark.skipif(not ROOT, reason="LONGPLAY_DATA does not name a folder of real data")


@real
@pytest.mark.parametrize(
    ("name", "users", "events", "items"),
    [
        ("ml-100k", 943, 100_000, 1_682),
        ("ml-1m", 6_040, 988_555, 3_416),  # 999,611 without 2 a user, whole for the 512 tested
        ("amazon-beauty", 22_363, 198_502, 12_101),
        ("coat", 290, 6_960, 300),
    ],
)
def test_sizes_are_the_published_ones(name: str, users: int, events: int, items: int) -> None:
    made = load(name)
    assert (len(made.sequences), made.sequences.n_events) == (users, events)
    assert made.sequences.n_items == len(made.item_names) == items
    if made.topics is not None:
        assert made.topics.shape == (items, len(made.topic_names))


@real
@pytest.mark.parametrize(
    ("name", "ndcg", "recall"), [("ml-100k", 0.1103, 0.2025), ("amazon-beauty", 0.0533, 0.0850)]
)
def test_skip_markov_reaches_its_known_accuracy(name: str, ndcg: float, recall: float) -> None:
    split = load(name).split()
    rank = ranks(ENCODERS["markov"](skip=5, decay=0.7).fit(split.train), split.test)
    got = gains(rank, 10)
    assert got["NDCG@10"].mean() == pytest.approx(ndcg, abs=0.0005)
    assert got["Recall@10"].mean() == pytest.approx(recall, abs=0.0005)


@real
def test_skip_markov_on_the_exact_test_of_ml_1m() -> None:
    split = load("ml-1m").split()
    assert len(split.test) == len(split.valid) == 512
    tested = np.isin(np.arange(len(split.train)), split.test.history.users)
    low, high = split.train.offsets[:-1], split.train.offsets[1:]
    file = split.train.cut(low, high - tested, np.arange(len(split.train)))  # train_input.txt alone
    rank = ranks(ENCODERS["markov"](skip=20, decay=0.85).fit(file), split.test)
    assert gains(rank, 10)["NDCG@10"].mean() == pytest.approx(0.1347, abs=0.0005)


@real
def test_ml_1m_tests_the_event_after_the_validated_one() -> None:
    made = load("ml-1m")
    split, users = made.split(), made.split().test.history.users
    assert users is not None
    for row, user in enumerate(users):
        whole = made.sequences[int(user)]
        np.testing.assert_array_equal(split.train[int(user)], whole[:-2])
        np.testing.assert_array_equal(split.valid.history[row], whole[:-2])
        np.testing.assert_array_equal(split.test.history[row], whole[:-1])
        assert (split.valid.target[row], split.test.target[row]) == (whole[-2], whole[-1])


@real
def test_ml_100k_ties_in_time_keep_the_order_of_the_file() -> None:
    made = load("ml-100k")
    assert made.item_names[0] == "Toy Story"
    assert made.topics is not None
    genres = [made.topic_names[g] for g in np.flatnonzero(made.topics[0])]
    assert genres == ["Animation", "Children's", "Comedy"]
    assert ROOT is not None
    rows = (Path(ROOT) / "ml-100k" / "ml-100k.inter").read_text().splitlines()[1:]
    mine = [r.split("\t") for r in rows if r.startswith("196\t")]
    wanted = [int(r[1]) - 1 for r in sorted(mine, key=lambda r: int(r[3]))]
    assert made.sequences[195].tolist() == wanted


@real
def test_open_bandit_holds_true_propensities_and_its_scores_weigh_to_one() -> None:
    assert ROOT is not None
    log = load("open-bandit")
    assert (len(log), log.n_items) == (10_000, 80)
    np.testing.assert_allclose(log.propensity, 1 / 80)
    own = load_open_bandit(Path(ROOT), campaign="all", policy="bts")
    shares = item_shares(own)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    scores = score_shares(log, shares, draws=20)
    weight = scores.propensity / log.propensity
    assert weight.mean() == pytest.approx(1, abs=4 * weight.std() / 100)
    assert scores.slates is not None
    first = scores.slates[positions(log) == 0].ravel()
    freq = np.bincount(first, minlength=80) / len(first)
    np.testing.assert_allclose(freq, shares[0], atol=0.01)


def test_the_path_of_0_1_takes_the_name_of_0_1(tmp_path: Path) -> None:
    """Both names ask for the same file, and the rest of the module is there."""
    for read in (
        lambda: old.load_open_bandit(tmp_path, campaign="men", behaviour="random"),
        lambda: load_open_bandit(tmp_path, campaign="men", policy="random"),
    ):
        with pytest.raises(FileNotFoundError, match=r"random/men"):
            read()
    assert old.positions is positions


def test_a_csv_file_is_coded_by_name_and_sorted_by_time(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user,item,timestamp,reward\nb,tea,5,1\na,pie,9,2\na,jam,3,3\nb,jam,4,4\n")
    made = load(str(path))
    assert made.name == "shop"
    assert made.item_names == ("jam", "pie", "tea")
    assert [list(h) for h in made.sequences] == [[0, 1], [0, 2]]
    assert made.sequences.rewards is not None
    assert made.sequences.rewards.tolist() == [3, 2, 4, 1]


def test_parquet_and_csv_of_the_same_events_load_alike(tmp_path: Path) -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    seconds = rng.integers(1_000, size=200) * 3600
    table = pd.DataFrame({"user": rng.integers(9, size=200), "item": rng.integers(30, size=200)})
    table.assign(timestamp=pd.to_datetime(seconds, unit="s")).to_parquet(tmp_path / "it.parquet")
    table.assign(timestamp=seconds).to_csv(tmp_path / "it.csv", index=False)
    one, two = load(str(tmp_path / "it.parquet")), load(str(tmp_path / "it.csv"))
    np.testing.assert_array_equal(one.sequences.items, two.sequences.items)
    np.testing.assert_array_equal(one.sequences.times, two.sequences.times)


def test_nanoseconds_of_a_file_keep_their_order(tmp_path: Path) -> None:
    import pandas as pd

    tick = 1_700_000_000_000_000_000
    table = pd.DataFrame(
        {"user": 1, "item": ["c", "b", "a"], "timestamp": [tick + 2, tick + 1, tick]}
    )
    table.to_csv(tmp_path / "whole.csv", index=False)
    dates = table.assign(timestamp=table.timestamp.to_numpy().astype("datetime64[ns]"))
    dates.to_parquet(tmp_path / "dates.parquet")
    for name in ("whole.csv", "dates.parquet"):
        assert load(str(tmp_path / name)).sequences.items.tolist() == [0, 1, 2]


def test_a_split_of_a_file_leaks_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{rng.integers(20)},{rng.integers(50)},{t}" for t in range(1000)]
    (tmp_path / "it.csv").write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    made = load("it.csv", tmp_path)
    split = made.split("global-time")
    assert split.train.times is not None
    assert split.test.history.times is not None
    assert split.train.times.max() < 800 <= split.test.history.times.max() < 900
    assert leave_one_out(made.sequences).rule == made.split().rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,item\n1,2\n", "timestamp missing"),
        ("user,item,timestamp\n1,2,3\n1,,4\n", "row 1: item is empty"),
        ("user,item,timestamp\n1,2,soon\n", "need seconds"),
        ("user,item,timestamp,reward\n1,2,3,1\n1,3,4,\n", "row 1: reward is empty"),
        ("user,item,timestamp,reward\n1,2,3,nan\n1,3,4,1\n", "row 0: reward is (empty|nan)"),
        ("user,item,timestamp,reward\n1,2,3,much\n", "reward holds string, such as 'much'"),
        ("user,item,timestamp\n1,2\n", "cannot be read as csv"),
        ("user,item,timestamp\n", "has no rows"),
    ],
)
def test_a_bad_file_is_refused_by_its_fault(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "it.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        load(str(tmp_path / "it.csv"))


def test_a_missing_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="Put the published files of ml-100k there"):
        load("ml-100k", tmp_path)
    with pytest.raises(FileNotFoundError, match="Open Bandit sample"):
        load("open-bandit", tmp_path)
    monkeypatch.delenv("LONGPLAY_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"pass --data-root DIR, or set LONGPLAY_DATA"):
        load("ml-100k")


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ml-100k, ml-1m, amazon-beauty, coat, open-bandit"):
        load("netflix", tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,item,timestamp,user\n1,a,1,2\n", "has 2 columns user; keep one"),
        ("user,item,timestamp,reward,reward\n1,a,1,2,3\n", "has 2 columns reward; keep one"),
        ("user,item,timestamp\n", "no rows below its header"),
    ],
)
def test_a_table_that_cannot_be_read_is_explained(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "events.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        load(str(file))


@pytest.mark.parametrize("column", ["user", "item", "timestamp", "reward"])
def test_lists_are_no_column(tmp_path: Path, column: str) -> None:
    rows = {"user": [1, 2], "item": ["a", "b"], "timestamp": [1, 2], "reward": [1.0, 2.0]}
    pq.write_table(pa.table(rows | {column: [[1], [2]]}), tmp_path / "nested.parquet")
    with pytest.raises(ValueError, match=f"{column} holds list<.*>; a row has one {column}"):
        load(str(tmp_path / "nested.parquet"))
