"""`longplay calibrate`: fit a world to real interactions and report how faithful it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.calibrate import pictures as draw
from experiments.calibrate.fidelity import Lists, Marginal, fidelity, telltales
from experiments.common.run_folder import RunFolder
from experiments.common.show import Show
from experiments.common.tables import markdown_table, text_table
from experiments.data.datasets import Interactions, data_root, load
from experiments.data.open_bandit import load_open_bandit, positions
from offpolicy import page
from offpolicy.pictures import png
from policies import Sequences
from recsim_env.calibration.calibrate import CalibratedWorld, calibrate, position_effect, simulate

FEWEST = 5  # items of a user whose list says anything of order
MOST_TOPICS = 50  # of a data set's own; above, item vectors are clustered


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which log, and where the world goes."""

    data: str = "ml-100k"
    """ml-100k, ml-1m, amazon-beauty, coat, or a .csv or .parquet file of interactions."""
    data_root: Path | None = None
    """Folder that holds the data; LONGPLAY_DATA by default."""
    out: Path = Path("results/world")
    """Folder of the world and its report."""
    positions: bool = False
    """Take how well each place is seen from the Open Bandit log, whose slates are logged."""
    dims: int = 16
    """Of item vectors and of chain factors."""
    simulated: int = 1000
    """Users to simulate at most, for the report."""
    seed: int = 0


def lists_of(sequences: Sequences) -> Lists:
    """One array of item ids per user that has enough of them."""
    lists = [sequences.items[a:b] for a, b in pairwise(sequences.offsets)]
    return [items for items in lists if len(items) >= FEWEST]


def topics_of(data: Interactions) -> NDArray[np.int32] | None:
    """One topic per item, the rarest that it has; None where there are none or too many."""
    if data.topics is None or data.topics.shape[1] > MOST_TOPICS:
        return None
    rare = np.where(data.topics, -data.topics.sum(axis=0), -np.inf)
    return np.asarray(rare.argmax(axis=1), np.int32)


def attention_of(settings: Settings) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Attention by place and its standard errors, from uniformly drawn slates."""
    if not settings.positions:
        return None
    root = data_root(settings.data_root)
    log = load_open_bandit(root, campaign="all", policy="random")
    return position_effect(positions(log), log.reward)


def run(settings: Settings) -> int:
    """Fit on half of the users, report against the other half, fit on all and save."""
    show = Show()
    data = load(settings.data, settings.data_root)
    if not isinstance(data, Interactions):
        raise ValueError(f"{settings.data} holds decisions, not interactions: see --positions")
    lists, n_items = lists_of(data.sequences), data.sequences.n_items
    topics, seen = topics_of(data), attention_of(settings)
    if len(lists) < 40:
        raise ValueError(
            f"{settings.data}: {len(lists)} users have {FEWEST} items or more; half of them must "
            "be 20 at least"
        )
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(lists))
    half = [[lists[n] for n in part] for part in np.array_split(order, 2)]
    share = None if seen is None else seen[0]

    def fitted(users: Sequence[NDArray[Any]]) -> CalibratedWorld:
        return calibrate(
            users, n_items, topics=topics, dims=settings.dims, attention=share, seed=settings.seed
        )

    with show.stage(f"fit to half of {len(lists)} users"):
        judged = fitted(half[0])
    with show.stage("simulate"):
        n = min(len(half[1]), settings.simulated)
        fake, real = simulate(judged, n, seed=settings.seed + 1), half[1][:n]
    with show.stage("compare"):
        catalogue = judged.catalogue
        known: dict[str, Any] = {"topics": catalogue.topics, "popularity": catalogue.popularity}
        rows = fidelity(real, fake, n_items=n_items, seed=settings.seed, **known)
        floor = fidelity(real, half[0][:n], n_items=n_items, seed=settings.seed, **known)
        tells = telltales(real, fake, **known)
    with show.stage("fit to all users and save"):
        fitted(lists).save(settings.out)
    pictures = {
        "Share of all consumption by rank of the item": draw.popularity_curve(real, fake, n_items),
        "Share of users with at least so many items": draw.session_lengths(real, fake),
        "From topic to next topic, the twelve most frequent": draw.topic_pairs(
            real, fake, catalogue.topics
        ),
    }
    if seen is not None:
        caption = "Attention by place with 95 % intervals (Open Bandit, uniform policy)"
        pictures[caption] = draw.attention(*seen)
    lines = table(rows, floor)
    coefficients = {k: round(v, 3) for k, v in asdict(judged.config).items()}
    title = f"{data.name}: {n} held-out real users and {n} simulated"
    print(f"\n{title}\n\n{text_table(lines)}\n\n{said(coefficients)}\n{said(tells, TELLS)}")
    folder = RunFolder(settings.out)
    tables = {
        name: [row._asdict() for row in table]
        for name, table in (("fidelity", rows), ("floor", floor))
    }
    folder.write_json("fidelity.json", tables | {"coefficients": coefficients, "tells": tells})
    folder.write_text("fidelity.md", markdown_table(lines))
    parts = [
        page.section("Real and simulated", page.table(lines), page.paragraph(NOTE)),
        page.section("Pictures", *(page.picture(png(f), name) for name, f in pictures.items())),
        page.section(
            "Fitted", page.paragraph(said(coefficients)), page.paragraph(said(tells, TELLS))
        ),
    ]
    folder.write_text("report.html", page.page(f"A world fitted to {data.name}", title, parts))
    print(f"\nworld and report in {settings.out} (report.html)")
    return 0


NOTE = (
    "Fitted to one half of the users and compared with the other half. The column real halves "
    "compares the two halves with each other: what no simulator can beat."
)
TELLS = "AUC of each feature alone, .5 = tells nothing:"


def table(rows: Sequence[Marginal], floor: Sequence[Marginal]) -> list[dict[str, str]]:
    """Lines of the report."""
    return [
        {
            "marginal": row.name,
            "real": f"{row.real:.3f}",
            "simulated": f"{row.simulated:.3f}",
            "distance": f"{row.distance:.3f}",
            "real halves": f"{least.distance:.3f}",
            "measured as": row.measure,
        }
        for row, least in zip(rows, floor, strict=True)
    ]


def said(values: dict[str, float], before: str = "coefficients:") -> str:
    """Names and numbers in one sentence."""
    return f"{before} " + ", ".join(f"{name} {value:.3g}" for name, value in values.items())
