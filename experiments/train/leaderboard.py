"""`longplay leaderboard`: every encoder on one data set, the learning-free ones first."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.run_folder import RunFolder, made_with, plain
from experiments.common.show import Show
from experiments.data.datasets import Interactions, SplitName, load
from experiments.train.encoder_settings import settings_for
from experiments.train.leaderboard_page import leaderboard_page
from experiments.train.train_encoder import Tested, describe, figures, fit, mix
from offpolicy.tables import markdown
from policies.encoders import ENCODERS, Encoder
from policies.encoders.data.splits import SeenRule, Split, repeat_notes, ruled, sampled
from policies.encoders.evaluate import gains, ndcg, paired_difference, protocol
from policies.encoders.training.config import TrainConfig
from policies.encoders.training.resume import read_curve
from policies.saving.checkpoint import digest, save
from policies.saving.checkpoint import load as load_checkpoint

BASELINE = "skip-Markov"
WEEK = 7 * 86_400.0
NOTE = "split.json"  # what the checkpoint beside it was made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Rank encoders on one data set. What the run folder holds is not trained again."""

    data: str
    """ml-100k, ml-1m, amazon-beauty, coat, or a table (.csv, .parquet, .jsonl) of user, item,
    timestamp and, where there is one, reward; ids of any kind."""
    columns: tuple[str, ...] = ()
    """What the columns of a file are called, ours=theirs: item=track_id timestamp=played_at
    reward=completed; or a .yaml that longplay inspect wrote."""
    models: tuple[str, ...] = ("filter", "sasrec", "esasrec", "gru4rec")
    """Networks below the rows that always stand: popularity, recent popularity, skip-Markov. The
    one that is best on validation is mixed with skip-Markov in a last row."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    split: SplitName = "leave-one-out"
    """What is held out; development: the last training events, to choose settings on."""
    seen: SeenRule = "auto"
    """What becomes of items that a user had before: filter (they leave the ranking, a target among
    them is missed), keep, new (as filter, and only new targets are asked); auto: keep where anybody
    repeats an item, else filter."""
    set: tuple[str, ...] = ()
    """Settings of all networks that differ from the recipe: epochs=30 ..."""
    out: Path | None = None
    """Folder of this run; results/leaderboard-DATA by default."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a title, an encoder's key and its settings."""

    title: str
    model: str
    settings: dict[str, Any]


def run(settings: Settings) -> int:
    """Train what is missing, test all, print and write the table."""
    data = load(settings.data, settings.data_root, settings.columns)
    split = ruled(data.split(settings.split), settings.seen)
    split.check()
    folder = RunFolder(settings.out or Path("results") / f"leaderboard-{data.name}")
    print("\n".join([*data.notes, *repeat_notes(split.test), f"{data.name}: {describe(split)}"]))
    tested, made = {}, {}
    for entry in entries(data, split, settings):
        made[entry.title] = _trained(entry, data, split, folder.path)
    for title, mixture in mixture_row(made, split).items():
        made[title] = mixture
        place = folder.path / title.replace(" ", "-") / "checkpoint"
        save(mixture, place, catalogue=data.catalogue, items=data.items)
    for title, encoder in made.items():
        tested[title] = figures(encoder, split)
        first = tested[title].metrics[0]
        told = f"{first.value:.4f} [{first.low:.4f}, {first.high:.4f}]"
        print(f"{title}: {first.name} {told}", flush=True)
    rows = [row(title, one, tested[BASELINE]) for title, one in tested.items()]
    text = section(rows, data.name, split, verdict(rows))
    _write(folder, settings, data, split, rows, text, tested)
    print(f"\n{text}\nwritten: {folder.path / 'leaderboard.html'}")
    return 0


def entries(data: Interactions, split: Split, settings: Settings) -> list[Entry]:
    """The rows that always stand, then the networks of the settings."""
    timed = data.sequences.times is not None
    recent = {"window": WEEK} if timed else {"tail": 5}
    of = "last 7 days" if timed else "last 5 of each user"
    fixed = [
        Entry("popularity", "popularity", {}),
        Entry(f"popularity, {of}", "popularity", recent),
        Entry(BASELINE, "markov", settings_for("markov", split)),
    ]
    networks = [Entry(m, m, settings_for(m, split, settings.set)) for m in settings.models]
    return fixed + networks


def mixture_row(made: dict[str, Encoder], split: Split) -> dict[str, Encoder]:
    """The network with the best validation score, mixed with skip-Markov; none without networks.

    Nothing more is trained. Without validation queries the first network is taken, and a half.
    """
    networks = {t: e for t, e in made.items() if isinstance(e.config, TrainConfig)}
    if not networks:
        return {}
    best = next(iter(networks))
    if len(split.valid) and len(networks) > 1:
        asked = sampled(split.valid)
        best = max(networks, key=lambda title: ndcg(networks[title], asked))
    pair = networks[best], made[BASELINE]
    names = {"first": pair[0].name, "second": pair[1].name}
    own = [dataclasses.asdict(part.config) for part in pair]
    mixture: Any = ENCODERS["mixture"](**names, first_settings=own[0], second_settings=own[1])
    return {f"{best} and {BASELINE}": mix(mixture, split, show=Show(), parts=pair)}


def row(title: str, one: Tested, baseline: Tested) -> dict[str, Any]:
    """A row of the table: figures with intervals, and the paired difference to skip-Markov."""
    cells: dict[str, Any] = {"encoder": title}
    for m in one.metrics:
        cells[m.name] = f"{m.value:.4f} [{m.low:.4f}, {m.high:.4f}]"
    pair = (gains(x.rank, 10)["NDCG@10"] for x in (one, baseline))
    gap = paired_difference(*pair, group=one.group)
    same = one is baseline
    cells["over skip-Markov"] = (
        "" if same else f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
    )
    beats = np.sign(gap.low) + np.sign(gap.high)
    cells["beats it"] = "" if same else {2: "yes", -2: "no"}.get(int(beats), "cannot tell")
    cells |= {name: f"{value:.3f}" for name, value in one.lists.items()}
    cells["epochs"] = one.epochs or ""
    cells["CPU-s"] = f"{one.fit_cpu_seconds:,.0f}" if one.epochs else ""
    return cells


def verdict(rows: list[dict[str, Any]]) -> str:
    """Whether any network passed the learning-free chain, in one sentence."""
    networks = [r for r in rows if r["epochs"]]
    winners = [r["encoder"] for r in networks if r["beats it"] == "yes"]
    if not networks:
        return "No network was in the settings."
    if winners:
        return (
            f"Above skip-Markov by NDCG@10, paired 95 % interval without 0: {', '.join(winners)}."
        )
    return "No network is above skip-Markov by NDCG@10 with a paired 95 % interval without 0."


def section(rows: list[dict[str, Any]], name: str, split: Split, word: str) -> str:
    """The table with its protocol and its verdict."""
    table = markdown(list(rows[0]), [list(r.values()) for r in rows])
    protocol = f"{describe(split)}. Intervals: 95 %, bootstrap over users."
    return "\n\n".join([f"## {name}", protocol, table, word]) + "\n"


def _trained(entry: Entry, data: Interactions, split: Split, folder: Path) -> Encoder:
    """The checkpoint of the same settings and events, or a newly trained encoder."""
    place = folder / entry.title.replace(", ", "-").replace(" ", "-")
    wanted, note = ENCODERS[entry.model].config(entry.settings), RunFolder(place)
    if (place / NOTE).is_file():
        if note.read_json(NOTE) == made_of(split):
            saved = load_checkpoint(place / "checkpoint", catalogue=data.catalogue)
            if saved.config == wanted:
                if hasattr(saved, "curve"):
                    saved.curve = read_curve(place / "training")
                return saved
        else:
            shutil.rmtree(place / "training", ignore_errors=True)  # of other events
    made = fit(entry.model, entry.settings, split, show=Show(), folder=place / "training")
    save(made, place / "checkpoint", catalogue=data.catalogue, items=data.items)
    note.write_json(NOTE, made_of(split))
    return made


def made_of(split: Split) -> dict[str, str]:
    """What a trained encoder was made of: the rule of its split, and a digest of what was learnt
    from and stopped on, so that it is not taken for one of a file that changed."""
    columns = ("items", "offsets", "times", "rewards", "item_features")
    arrays = {
        f"{part}.{name}": column
        for part, events in (("train", split.train), ("valid", split.valid.history))
        for name in columns
        if (column := getattr(events, name)) is not None
    }
    return {"rule": split.rule, "events": digest(arrays | {"valid.target": split.valid.target})}


def _write(
    folder: RunFolder,
    settings: Settings,
    data: Interactions,
    split: Split,
    rows: list[dict[str, Any]],
    text: str,
    tested: dict[str, Tested],
) -> None:
    made = plain({"settings": dataclasses.asdict(settings), "made": made_with()})
    folder.write_json("settings.json", made)
    folder.write_json(
        "leaderboard.json",
        {"data": data.name, "split": split.rule, "protocol": protocol(split.test), "rows": rows},
    )
    folder.write_text("leaderboard.md", text)
    folder.write_text(
        "leaderboard.html",
        leaderboard_page(data.name, rows, tested, BASELINE, describe(split), verdict(rows), made),
    )
