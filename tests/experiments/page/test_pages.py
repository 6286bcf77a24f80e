"""Pages of coverage, leaderboards and studies: whole, the verdict and interval of every row."""

from __future__ import annotations

import numpy as np

from experiments.published.coverage_figures import Row
from experiments.published.coverage_page import coverage_page
from experiments.study.aggregate import Interval
from experiments.study.page import study_page, verdict_of
from experiments.study.settings import Settings, cells
from experiments.study.tables import tables
from experiments.train import train_encoder
from experiments.train.leaderboard import row
from experiments.train.leaderboard_page import leaderboard_page
from policies.encoders.evaluate import metrics
from tests.experiments.page.checks import faults, rows_of, words_of


def test_coverage_says_which_intervals_miss() -> None:
    row = Row("one_step", "ips", 100, 50, 0.96, 0.9, 0.99, 0.1, 0.0, 1.0, 90.0)
    bad = row._replace(estimator="dm", coverage=0.4, low=0.3, high=0.6)
    text = coverage_page([row, bad], level=0.95, text="as text")
    assert faults(text) == []
    assert "1 of 2 intervals miss their 95%: dm (one_step)" in words_of(text)
    (_, *cells) = rows_of(text, "estimator")
    assert [c[:3] for c in cells] == [
        ["ips", "pass", "0.960 [0.900, 0.990]"],
        ["dm", "fail", "0.400 [0.300, 0.600]"],
    ]


def test_the_leaderboard_names_the_best_and_what_is_not_shown_to_be_below_it() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.integers(0, 3, 400).astype(float), rng.integers(20, 99, 400).astype(float)
    ranks = {"skip-Markov": good, "popularity": bad, "sasrec": good[::-1].copy()}
    tested = {
        n: train_encoder.Tested(metrics(rank), {}, rank, None, 1.0, int(n == "sasrec"))
        for n, rank in ranks.items()
    }
    rows = [row(title, one, tested["skip-Markov"]) for title, one in tested.items()]
    made = {"made": {"at": "2026-01-02T03:04:05", "versions": {"longplay": "9"}}}
    text = leaderboard_page("shop", rows, tested, "skip-Markov", "a split", "Said so.", made)
    assert faults(text) == []
    assert "made 2026-01-02 with longplay 9" in text
    assert "Not shown to be below it on the same users: " in text
    (head, *cells) = rows_of(text, "encoder")
    assert head[:3] == ["encoder", "beats skip-Markov", "NDCG@10"]
    assert [c[0] for c in cells] == list(ranks)
    assert cells[1][1] == "no"
    assert all("[" in c[2] for c in cells)


def test_a_study_says_what_an_encoder_adds() -> None:
    settings = Settings(
        worlds=("Boredom",), encoders=("none", "markov"), agents=("linucb", "greedy_encoder"),
        seeds=3, sessions=4, warm_sessions=4,
    )  # fmt: skip
    noise = np.random.default_rng(0)
    results = {
        cell: {
            "returns": (noise.random(4) + 5 * (cell.encoder == "markov")).tolist(),
            "coverage": 0.5,
            "no_repeat": {"returns": [1.0] * 4, "coverage": 0.5},
        }
        for cell in cells(settings)
    }
    text = study_page(settings, results, tables(settings, results), {})
    assert faults(text) == []
    assert "; better than linucb, no encoder (" in words_of(text)
    (_, *rows) = rows_of(text, "cell")
    verdicts = {r[0]: r[1] for r in rows}
    assert verdicts["linucb on markov"] == "better"
    assert verdicts["linucb, no encoder"] == "-"
    assert all("[" in r[2] for r in rows)
    assert verdict_of(Interval(0, -1, 1)) == "cannot tell"
