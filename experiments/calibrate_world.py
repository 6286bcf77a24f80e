"""`longplay calibrate`: fit a world to real interactions and report how faithful it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from experiments.datasets import load
from policies import ENCODERS, Sequences
from recsim_env.calibrate import calibrate, simulate

Lists = list[NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which log, and where the world goes."""

    data: str = "ml-100k"
    """ml-100k, ml-1m, amazon-beauty, coat, or a file of interactions."""
    data_root: Path | None = None
    """Folder that holds the data; LONGPLAY_DATA by default."""
    out: Path = Path("results/world")
    dims: int = 16
    seed: int = 0


def lists_of(sequences: Sequences) -> Lists:
    """One array of item ids per user."""
    bounds = sequences.offsets
    return [sequences.items[a:b] for a, b in pairwise(bounds)]


def gini(lists: Lists, n_items: int) -> float:
    """Inequality of popularity: 0 equal, 1 one item."""
    counts = np.sort(np.bincount(np.concatenate(lists), minlength=n_items))
    rank = np.arange(1, n_items + 1)
    return float((2 * rank - n_items - 1) @ counts / (n_items * counts.sum()))


def transitions(lists: Lists, topics: NDArray[np.integer], n_topics: int) -> NDArray[np.float64]:
    """Share (T, T) of consecutive pairs by their topics."""
    table = np.zeros((n_topics, n_topics))
    for items in lists:
        np.add.at(table, (topics[items[:-1]], topics[items[1:]]), 1)
    return np.asarray(table / table.sum())


def repeat_rate(lists: Lists) -> float:
    """Share of consumptions of an item that the user had before."""
    return float(1 - np.mean([len(set(items.tolist())) / len(items) for items in lists]))


def predictability(lists: Lists, n_items: int) -> float:
    """Hit rate at 10 of the same Markov encoder on last items, full ranking, nothing filtered."""
    usable = [items for items in lists if len(items) >= 5]
    train = Sequences.from_lists([items[:-1] for items in usable], n_items=n_items)
    encoder = ENCODERS["markov"]().fit(train)
    history = np.full((len(usable), 20), -1, np.int64)
    for row, items in enumerate(usable):
        recent = items[:-1][-20:]
        history[row, 20 - len(recent) :] = recent
    scores = np.asarray(encoder.scores(history), float)
    target = scores[np.arange(len(usable)), [items[-1] for items in usable]][:, None]
    rank = (scores > target).sum(1) + 0.5 * ((scores == target).sum(1) - 1)
    return float(np.mean(rank < 10))


def features(lists: Lists, popularity: NDArray[np.floating], topics: NDArray[np.integer]) -> Any:
    """What a classifier sees of a user (B, 5): length, popularity, topics, repeats, topic runs."""
    rows = []
    for items in lists:
        seen, t = np.log(popularity[items]), topics[items]
        runs = float(np.mean(t[1:] == t[:-1]))
        share = np.bincount(t) / len(t)
        variety = float(-(share[share > 0] * np.log(share[share > 0])).sum())
        rows.append([np.log(len(items)), seen.mean(), seen.std(), variety, runs])
    return np.array(rows)


def two_sample_auc(real: Any, fake: Any, seed: int) -> float:
    """Cross-validated AUC of telling real users from simulated ones; .5 = cannot."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    x = np.vstack([real, fake])
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))]
    model = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
    chance = cross_val_predict(model, x, y, cv=5, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, chance))


def fidelity(
    real: Lists,
    fake: Lists,
    *,
    n_items: int,
    topics: NDArray[np.integer],
    popularity: NDArray[np.floating],
    seed: int,
) -> dict[str, dict[str, float]]:
    """Marginals of both worlds and the distance of each."""
    from scipy.stats import ks_2samp

    n_topics = int(topics.max()) + 1
    lengths = [[len(items) for items in lists] for lists in (real, fake)]
    moves = [transitions(lists, topics, n_topics) for lists in (real, fake)]
    report: dict[str, dict[str, float]] = {}

    def put(name: str, a: float, b: float, distance: float | None = None) -> None:
        report[name] = {
            "real": a,
            "simulated": b,
            "distance": abs(a - b) if distance is None else distance,
        }

    put("popularity, Gini", gini(real, n_items), gini(fake, n_items))
    ks = float(ks_2samp(np.array(lengths[0]), np.array(lengths[1])).statistic)
    put("items per user (KS)", float(np.mean(lengths[0])), float(np.mean(lengths[1])), ks)
    same = [float(np.trace(m)) for m in moves]
    moved = float(np.abs(moves[0] - moves[1]).sum() / 2)
    put("next topic the same (TV)", same[0], same[1], moved)
    put("repeat rate", repeat_rate(real), repeat_rate(fake))
    put("Markov HR@10", predictability(real, n_items), predictability(fake, n_items))
    seen = [features(lists, popularity, topics) for lists in (real, fake)]
    put("two-sample AUC", 0.5, two_sample_auc(seen[0], seen[1], seed))
    return report


def run(settings: Settings) -> int:
    """Fit, simulate as many users as the log has, save the world, and print its fidelity."""
    data = load(settings.data, settings.data_root)
    n_items = data.sequences.n_items
    real = [items for items in lists_of(data.sequences) if len(items) > 11]
    topics = None if data.topics is None else data.topics.argmax(1)
    world = calibrate(real, n_items, topics=topics, dims=settings.dims, seed=settings.seed)
    fake = simulate(world, len(real), seed=settings.seed + 1)
    report = fidelity(
        real,
        fake,
        n_items=n_items,
        topics=world.catalogue.topics,
        popularity=world.catalogue.popularity,
        seed=settings.seed,
    )
    world.save(settings.out)
    (settings.out / "fidelity.json").write_text(json.dumps(report, indent=2))
    table = Table(title=f"{settings.data}: real and simulated users ({len(real)} each)")
    for column in ("marginal", "real", "simulated", "distance"):
        table.add_column(column, justify="left" if column == "marginal" else "right")
    for name, row in report.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in ("real", "simulated", "distance")))
    console = Console()
    console.print(table)
    fitted = world.config
    console.print(f"taste {fitted.taste:.2f}, dull {fitted.dull:.2f}; world in {settings.out}")
    return 0
