"""`longplay calibrate`: fit a world to real interactions, or to a log of served slates, and report
how faithful it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.calibrate.fidelity import Lists, compare
from experiments.calibrate.report import Attention, pictures_of, write
from experiments.common.run_folder import RunFolder
from experiments.common.show import Show
from experiments.data.datasets import Interactions, data_root, load
from experiments.data.open_bandit import load_open_bandit, positions
from experiments.logs.item_names import NAMES, item_names, open_named_log
from policies import Sequences
from recsim_env.calibration.calibrate import calibrate, position_effect, simulate
from recsim_env.calibration.served.scores import RESPONSE_NAMES
from recsim_env.calibration.spread import in_words, spread, warning, with_take_rate
from recsim_env.calibration.world import FittedWorld

FEWEST = 5  # items of a user whose list says anything of order
FEWEST_USERS = 20  # of each half, and to simulate
MOST_TOPICS = 50  # of a data set's own; above, item vectors are clustered


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Fit a world to real interactions (--data) or to a served log (--log), and report how faithful
    it is to users that it was not fitted to."""

    log: Path | None = None
    """A log of served slates (folder or file), or any table with --columns: a world with a utility
    of nothing, rewards and users who leave. It takes the place of --data."""
    columns: tuple[str, ...] = ()
    """Column names of the table, ours=theirs, or a .yaml that longplay inspect wrote. Of --data:
    item=track_id timestamp=played_at. Of --log: slate=item_id consumed=clicked_id; responses are
    the click, the watch time and the quality of what was taken, in this order."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log."""
    max_steps: int | None = None
    """Sessions of the log end after so many decisions by design."""
    item_features: Path | None = None
    """Features (A, F) of the log's items by id (.npy); by default those of what sessions had."""
    topics: Path | None = None
    """Topics of the log's items, one a line in the order of their ids; by default clusters."""
    history_length: int = 20
    """Items taken that agents see in the world of a log."""
    take_rate: float | None = None
    """Set the utility of nothing so that users take something of this share of uniform slates."""
    data: str = "ml-100k"
    """ml-100k, ml-1m, amazon-beauty, coat, or a table (.csv, .parquet, .jsonl) of user, item,
    timestamp; ids of any kind."""
    data_root: Path | None = None
    """Folder that holds the data; LONGPLAY_DATA by default."""
    out: Path = Path("results/world")
    """Folder of the world and its report."""
    positions: bool = False
    """Take how well each place is seen from the Open Bandit log, whose slates are logged."""
    dims: int = 16
    """Of item vectors and of chain factors; of a log's users' preferences."""
    simulated: int = 1000
    """Users to simulate at most, for the report."""
    seed: int = 0
    """Of the random numbers."""


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


def attention_of(settings: Settings) -> Attention | None:
    """Attention by place and its standard errors, from uniformly drawn slates."""
    if not settings.positions:
        return None
    root = data_root(settings.data_root)
    log = load_open_bandit(root, campaign="all", policy="random")
    return position_effect(positions(log), log.reward)


def users_of(settings: Settings, data: Any) -> Lists:
    """The lists of users that are long enough.

    Raises:
        ValueError: no interactions, or too few users to fit half of them and judge by the others.
    """
    if not isinstance(data, Interactions):
        raise ValueError(f"{settings.data} holds decisions, not interactions: see --positions")
    lists = lists_of(data.sequences)
    if len(lists) < 2 * FEWEST_USERS:
        raise ValueError(
            f"{settings.data}: {len(lists)} users have {FEWEST} items or more; half of them must "
            f"be {FEWEST_USERS} at least"
        )
    if settings.simulated < FEWEST_USERS:
        raise ValueError(
            f"--simulated {settings.simulated}: simulate {FEWEST_USERS} users at least"
        )
    return lists


def run(settings: Settings) -> int:
    """Fit on a part of the users, report against the others, fit on all and save."""
    return run_log(settings, settings.log) if settings.log is not None else run_data(settings)


def run_log(settings: Settings, path: Path) -> int:
    """A world of served slates."""
    from experiments.calibrate.served import Fit, fit_and_judge, read_features, read_topics
    from experiments.calibrate.served_report import write as write_scores

    s = settings
    log = open_named_log(path, s.columns, s.n_items, s.max_steps, s.items)
    fit = Fit(
        features=read_features(s.item_features),
        topics=read_topics(s.topics),
        history_length=s.history_length,
        dims=s.dims,
        simulated=s.simulated,
        take_rate=s.take_rate,
        seed=s.seed,
    )
    judged = fit_and_judge(log, fit, Show())
    judged.world.save(s.out)
    folder = RunFolder(s.out)
    folder.write_text(NAMES, "\n".join(item_names(log)) + "\n")
    write_scores(folder, path.name, judged)
    print(missing_responses(0 if log.responses is None else log.responses.shape[1]), end="")
    print(f"\nworld and report in {s.out} (report.html); --env {s.out} serves it")
    return 0


def missing_responses(columns: int) -> str:
    """What a log with so many columns of responses leaves out; "" where it has all or none."""
    if columns in (0, len(RESPONSE_NAMES)):
        return ""
    given, rest = RESPONSE_NAMES[:columns], RESPONSE_NAMES[columns:]
    if not rest:
        return f"NOTE: of {columns} responses the first are kept: {', '.join(given)}\n"
    return (
        f"NOTE: the responses are taken for {', '.join(given)}; {', '.join(rest)} are 0 in this "
        "world, so that a policy that learns from them learns nothing. Give "
        "responses=click,watch_time,quality, or none\n"
    )


def run_data(settings: Settings) -> int:
    """A world of consumption."""
    show = Show()
    data = load(settings.data, settings.data_root, settings.columns)
    for note in data.notes if isinstance(data, Interactions) else ():
        show.note(note)
    lists, seen = users_of(settings, data), attention_of(settings)
    topics, n_items = topics_of(data), data.sequences.n_items
    order = np.random.default_rng(settings.seed).permutation(len(lists))
    half = [[lists[n] for n in part] for part in np.array_split(order, 2)]

    def fitted(users: Lists) -> FittedWorld:
        share = None if seen is None else seen[0]
        world = calibrate(
            users, n_items, topics=topics, dims=settings.dims, attention=share, seed=settings.seed
        )
        return world.named(data.items.names)

    with show.stage(f"fit to half of {len(lists)} users"):
        judged = fitted(half[0])
    with show.stage("simulate"):
        n = min(len(half[1]), settings.simulated)
        fake, real = simulate(judged, n, seed=settings.seed + 1), half[1][:n]
    with show.stage("compare"):
        compared = compare(judged, real, fake, half[0][:n], settings.seed)
    with show.stage("fit to all users and save"):
        world = fitted(lists)
        if settings.take_rate is not None:
            world = with_take_rate(world, settings.take_rate, seed=settings.seed)
        world.save(settings.out)
        told = spread(world, users=settings.simulated, seed=settings.seed)
    pictures = pictures_of(real, fake, judged, seen)
    title = f"{data.name}: {n} held-out real users and {n} simulated"
    write(RunFolder(settings.out), data.name, title, compared, pictures)
    said = warning(told)
    print(f"\n{in_words(told)}" if said is None else f"\nWARNING: {said}")
    print(f"\nworld and report in {settings.out} (report.html); --env {settings.out} serves it")
    return 0
