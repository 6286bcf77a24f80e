"""Is a simulated log like a real one? Marginals, distances, predictability and a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies import ENCODERS, Sequences
from policies.encoders.data.splits import Heldout
from policies.encoders.evaluate import ranks
from recsim_env.calibration.world import FittedWorld

Lists = list[NDArray[Any]]
FEATURES = ("log length", "mean log popularity", "its spread", "topic entropy", "topic runs")


class Marginal(NamedTuple):
    """One number of each log and a distance between what stands behind it."""

    name: str
    real: float
    simulated: float
    distance: float
    measure: str  # what the distance is


class Comparison(NamedTuple):
    """Held-out real users beside simulated ones, and beside the users that were fitted."""

    rows: list[Marginal]
    floor: list[Marginal]  # real against real: what no simulator can beat
    tells: dict[str, float]
    coefficients: dict[str, float]


def compare(world: FittedWorld, real: Lists, fake: Lists, fitted: Lists, seed: int) -> Comparison:
    """Every marginal, the floor of each, and what tells real from simulated."""
    catalogue = world.catalogue
    known: dict[str, Any] = {"topics": catalogue.topics, "popularity": catalogue.popularity}
    n_items = len(catalogue)
    return Comparison(
        fidelity(real, fake, n_items=n_items, seed=seed, **known),
        fidelity(real, fitted, n_items=n_items, seed=seed, **known),
        telltales(real, fake, **known),
        {name: round(value, 3) for name, value in asdict(world.config).items()},
    )


def fidelity(
    real: Lists,
    fake: Lists,
    *,
    n_items: int,
    topics: NDArray[np.integer],
    popularity: NDArray[np.floating],
    seed: int,
) -> list[Marginal]:
    """Every marginal of two logs of the same items."""
    from scipy.stats import ks_2samp

    n_topics = int(topics.max()) + 1
    share = [popularity_share(lists, n_items) for lists in (real, fake)]
    lengths = [np.array([len(items) for items in lists]) for lists in (real, fake)]
    pairs = [transitions(lists, topics, n_topics) for lists in (real, fake)]
    same = [float(np.trace(m)) for m in pairs]
    repeats = [repeat_rate(lists) for lists in (real, fake)]
    hits = [predictability(lists, n_items) for lists in (real, fake)]
    seen = [features(lists, popularity, topics) for lists in (real, fake)]
    auc = two_sample_auc(seen[0], seen[1], seed)
    ks = float(ks_2samp(lengths[0], lengths[1]).statistic)

    def row(name: str, pair: Sequence[float], distance: float, measure: str) -> Marginal:
        return Marginal(name, float(pair[0]), float(pair[1]), distance, measure)

    return [
        row("popularity, Gini", [gini(s) for s in share], tv(*share), "total variation"),
        row("items per user", [n.mean() for n in lengths], ks, "Kolmogorov-Smirnov"),
        row("next topic the same", same, tv(*pairs), "total variation of all pairs"),
        row("repeat rate", repeats, abs(repeats[0] - repeats[1]), "difference"),
        row("Markov HR@10", hits, abs(hits[0] - hits[1]), "difference"),
        row("two-sample AUC", (0.5, auc), auc - 0.5, "above chance"),
    ]


def telltales(
    real: Lists, fake: Lists, popularity: NDArray[np.floating], topics: NDArray[np.integer]
) -> dict[str, float]:
    """How well each feature alone tells real from simulated users: AUC, .5 = not at all."""
    from sklearn.metrics import roc_auc_score

    x = [features(lists, popularity, topics) for lists in (real, fake)]
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))]
    each = np.vstack(x)
    aucs = [float(roc_auc_score(y, each[:, f])) for f in range(each.shape[1])]
    return {name: max(a, 1 - a) for name, a in zip(FEATURES, aucs, strict=True)}


def popularity_share(lists: Lists, n_items: int) -> NDArray[np.float64]:
    """Share (A,) of all consumption that is each item's."""
    counts = np.bincount(np.concatenate(lists), minlength=n_items)
    return np.asarray(counts / counts.sum())


def tv(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Total variation between two distributions."""
    return float(np.abs(a - b).sum() / 2)


def gini(share: NDArray[np.float64]) -> float:
    """Inequality of popularity: 0 equal, 1 one item."""
    n = len(share)
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(share) / n)


def transitions(lists: Lists, topics: NDArray[np.integer], n_topics: int) -> NDArray[np.float64]:
    """Share (T, T) of consecutive pairs by their topics."""
    table = np.zeros((n_topics, n_topics))
    for items in lists:
        np.add.at(table, (topics[items[:-1]], topics[items[1:]]), 1)
    return np.asarray(table / table.sum())


def repeat_rate(lists: Lists) -> float:
    """Share of a user's consumption that they had before, mean over users."""
    return float(1 - np.mean([len(set(items.tolist())) / len(items) for items in lists]))


def predictability(lists: Lists, n_items: int) -> float:
    """Hit rate at 10 of the same Markov encoder on last items, full ranking, nothing filtered."""
    usable = [items for items in lists if len(items) >= 5]
    if not usable:
        return float("nan")
    train = Sequences.from_lists([items[:-1] for items in usable], n_items=n_items)
    last = np.array([items[-1] for items in usable], np.int32)
    encoder = ENCODERS["markov"]().fit(train)
    rank = ranks(encoder, Heldout(train, last, filter_seen=False))
    return float((rank < 10).mean())


def features(
    lists: Lists, popularity: NDArray[np.floating], topics: NDArray[np.integer]
) -> NDArray[np.float64]:
    """What a classifier sees of a user (B, 5): see FEATURES."""
    rows = []
    for items in lists:
        seen, t = np.log(popularity[items]), topics[items]
        runs = float(np.mean(t[1:] == t[:-1]))
        share = np.bincount(t) / len(t)
        variety = float(-(share[share > 0] * np.log(share[share > 0])).sum())
        rows.append([np.log(len(items)), seen.mean(), seen.std(), variety, runs])
    return np.array(rows)


def two_sample_auc(real: NDArray[np.float64], fake: NDArray[np.float64], seed: int) -> float:
    """Cross-validated AUC of telling real users from simulated ones; .5 = cannot."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x = np.vstack([real, fake])
    y = np.r_[np.ones(len(real)), np.zeros(len(fake))]
    model = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    chance = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, chance))
